// y = table[(q - offset) >> shift], q the integer behind x.
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

}  // namespace kbuild

#endif
