// y = table[(q - offset) >> shift], q the integer behind x; beyond the last entry it may be a line.
#ifndef KBUILD_LUT_H
#define KBUILD_LUT_H

#include "cast.h"
#include "table.h"

namespace kbuild {

template <class C, class X, class Y>
void lut(const X x[C::elements], Y y[C::elements], const typename C::table_t table[C::entries],
         const typename C::offset_t offset[1]) {
#pragma HLS PIPELINE
    for (int i = 0; i < C::elements; ++i) y[i] = cast<Y>(looked_up<C>(x[i], table, offset));
}

// Entry and product are exact, so each is cast to the result by itself.
template <class C, class X, class Y>
void lut_and_line(const X x[C::elements], Y y[C::elements], const typename C::table_t table[C::entries],
                  const typename C::offset_t offset[1], const typename C::line_t line[1]) {
#pragma HLS PIPELINE
    for (int i = 0; i < C::elements; ++i) {
        const Y inside = cast<Y>(looked_up<C>(x[i], table, offset));
        const Y outside = cast<Y>(line[0] * x[i]);
        y[i] = beyond<C>(x[i], offset) ? outside : inside;
    }
}

}  // namespace kbuild

#endif
