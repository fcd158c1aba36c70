// y[p] = weight[index], the row whose number is x[p] without its fraction, saturated to the rows that there are.
#ifndef KBUILD_GATHER_H
#define KBUILD_GATHER_H

#include "cast.h"
#include "table.h"

namespace kbuild {

template <class C, class X, class Y>
void gather(const X x[C::positions], Y y[C::positions * C::columns],
            const typename C::weight_t weight[C::rows * C::columns]) {
#pragma HLS ARRAY_RESHAPE variable=weight cyclic factor=C::columns
    for (int p = 0; p < C::positions; ++p) {
#pragma HLS PIPELINE II=1
        const typename C::whole_t whole = x[p];  // rounded down; no ap_int, which takes garbage from fractions alone
        const int row = entry(whole, 0, C::rows);
        for (int c = 0; c < C::columns; ++c) y[p * C::columns + c] = cast<Y>(weight[row * C::columns + c]);
    }
}

}  // namespace kbuild

#endif
