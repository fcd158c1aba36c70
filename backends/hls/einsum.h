// Products of matrices: y[s][m][n] = sum over k of a[s][m][k] * b[s][k][n], k ascending, summed as in dense.h: exact
// products cast to term_t and added in accum_t. Axes in another order are transposed before and after (move.h); with a
// constant in the place of b it is a kernel of dense.h.
#ifndef KBUILD_EINSUM_H
#define KBUILD_EINSUM_H

#include "affine.h"
#include "dense.h"
#include "move.h"

namespace kbuild {

// Latency: all products at once, new values every `reuse_factor` cycles, with at most `multipliers` multipliers.
template <class C, class A, class B, class Y>
void einsum_latency(const A a[C::batch * C::rows * C::terms], const B b[C::batch * C::terms * C::columns],
                    Y y[C::batch * C::rows * C::columns]) {
#pragma HLS PIPELINE II=C::reuse_factor
#pragma HLS ALLOCATION operation instances=mul limit=C::multipliers
    for (int row = 0; row < C::batch * C::rows; ++row) {
        typename C::accum_t accum[C::columns];
#pragma HLS ARRAY_PARTITION variable=accum complete
        for (int n = 0; n < C::columns; ++n) accum[n] = 0;
        for (int k = 0; k < C::terms; ++k) {
            const A value = a[row * C::terms + k];
            const int from = (row / C::rows * C::terms + k) * C::columns;
            for (int n = 0; n < C::columns; ++n) accum[n] += typename C::term_t(value * b[from + n]);
        }
        for (int n = 0; n < C::columns; ++n) y[row * C::columns + n] = accum[n];
    }
}

// Resource: one row after the other, each in `reuse_factor` steps of `depth` terms of `lanes` sums.
template <class C, class A, class B, class Y>
void einsum_resource(const A a[C::batch * C::rows * C::terms], const B b[C::batch * C::terms * C::columns],
                     Y y[C::batch * C::rows * C::columns]) {
    typename C::accum_t accum[C::lanes];
#pragma HLS ARRAY_PARTITION variable=accum complete
    for (int row = 0; row < C::batch * C::rows; ++row) {
        for (int n = 0; n < C::columns; n += C::lanes) {
            for (int k = 0; k < C::terms; k += C::depth) {
#pragma HLS PIPELINE II=1
                for (int lane = 0; lane < C::lanes; ++lane)
                    if (k == 0) accum[lane] = 0;
                for (int d = 0; d < C::depth; ++d) {
                    const A value = a[row * C::terms + k + d];
                    const int from = (row / C::rows * C::terms + k + d) * C::columns + n;
                    for (int lane = 0; lane < C::lanes; ++lane)
                        accum[lane] += typename C::term_t(value * b[from + lane]);
                }
                if (k + C::depth == C::terms)
                    for (int lane = 0; lane < C::lanes; ++lane) y[row * C::columns + n + lane] = accum[lane];
            }
        }
    }
}

}  // namespace kbuild

#endif
