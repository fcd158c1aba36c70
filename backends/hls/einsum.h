// Products of matrices: y[s][m][n] = sum over k of a[s][m][k] * b[s][k][n], k ascending, summed as in dense.h: exact
// products cast to term_t and added in accum_t. Axes in another order are transposed before and after (move.h).
#ifndef KBUILD_EINSUM_H
#define KBUILD_EINSUM_H

#include "affine.h"
#include "move.h"

namespace kbuild {

// `lanes` sums at once. `blocked`: b is [batch][columns / lanes][terms][lanes], so that what meets lies side by side.
template <class C, class A, class B, class Y>
void matrix_products(const A a[C::batch * C::rows * C::terms], const B b[C::batch * C::terms * C::columns],
                     Y y[C::batch * C::rows * C::columns]) {
#pragma HLS INLINE
    for (int row = 0; row < C::batch * C::rows; ++row) {
        for (int n = 0; n < C::columns; n += C::lanes) {
#pragma HLS PIPELINE II=1
            typename C::accum_t accum[C::lanes];
#pragma HLS ARRAY_PARTITION variable=accum complete
            for (int lane = 0; lane < C::lanes; ++lane) accum[lane] = 0;
            for (int k = 0; k < C::terms; ++k) {
                const A value = a[row * C::terms + k];
                const int s = row / C::rows;
                const int from = C::blocked ? (s * C::columns + n) * C::terms + k * C::lanes
                                            : (s * C::terms + k) * C::columns + n;
                for (int lane = 0; lane < C::lanes; ++lane)
                    accum[lane] += cast<typename C::term_t>(value * b[from + lane]);
            }
            for (int lane = 0; lane < C::lanes; ++lane) y[row * C::columns + n + lane] = cast<Y>(accum[lane]);
        }
    }
}

template <class C, class A, class B, class Y>
void einsum(const A a[C::batch * C::rows * C::terms], const B b[C::batch * C::terms * C::columns],
            Y y[C::batch * C::rows * C::columns]) {
    matrix_products<C>(a, b, y);
}

// The second operand is constant.
template <class C, class A, class Y>
void einsum_constant(const A a[C::batch * C::rows * C::terms], Y y[C::batch * C::rows * C::columns],
                     const typename C::weight_t weight[C::batch * C::terms * C::columns]) {
#pragma HLS ARRAY_RESHAPE variable=weight cyclic factor=C::products
    matrix_products<C>(a, weight, y);
}

}  // namespace kbuild

#endif
