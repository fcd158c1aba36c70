// h = activation(x[t] * weight + bias + h * recurrent_weight + recurrent_bias), cast to state_t, step by step.
#ifndef KBUILD_SIMPLE_RNN_H
#define KBUILD_SIMPLE_RNN_H

#include "recurrent.h"

namespace kbuild {

// The next state.
template <class C, class X>
void simple_rnn_step(const X x[C::features], typename C::state0_t h[C::units],
                     const typename C::input::weight_t weight[C::features * C::units],
                     const typename C::input::bias_t bias[C::units],
                     const typename C::recurrent::weight_t recurrent_weight[C::units * C::units],
                     const typename C::recurrent::bias_t recurrent_bias[C::units],
                     const typename C::act::table_t table[C::act::entries],
                     const typename C::act::offset_t offset[1]) {
#pragma HLS INLINE
    typename C::input::accum_t a[C::units];
    typename C::recurrent::accum_t r[C::units];
#pragma HLS ARRAY_PARTITION variable=a complete
#pragma HLS ARRAY_PARTITION variable=r complete
    products<typename C::input>(x, a, weight, bias);
    products<typename C::recurrent>(h, r, recurrent_weight, recurrent_bias);
    for (int u = 0; u < C::units; ++u) {
#pragma HLS UNROLL
        const typename C::sum_t sum = a[u] + r[u];
        h[u] = cast<typename C::state0_t>(activated<typename C::act>(sum, table, offset));
    }
}

}  // namespace kbuild

#endif
