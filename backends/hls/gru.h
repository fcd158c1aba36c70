// Gated recurrent unit. With a = x[t] * weight + bias and r = h * recurrent_weight + recurrent_bias in the parts z, r, n:
// z = gate(a_z + r_z), r = gate(a_r + r_r), n = activation(a_n + p), h = z * h + (1 - z) * n, exact and cast once.
#ifndef KBUILD_GRU_H
#define KBUILD_GRU_H

#include "recurrent.h"

namespace kbuild {

// The next state of one unit.
template <class C, class P>
typename C::state0_t mixed(const typename C::gate::value_t& update, const typename C::state0_t& h,
                           const typename C::input::accum_t& a, const P& p,
                           const typename C::act::table_t table[C::act::entries],
                           const typename C::act::offset_t offset[1]) {
#pragma HLS INLINE
    const typename C::one_t one = 1;
    const typename C::sum_t sum = a + p;
    return cast<typename C::state0_t>(update * h + (one - update) * activated<typename C::act>(sum, table, offset));
}

// The reset gate scales the recurrent sum: p = r * r_n, cast to its type.
template <class C, class X>
void gru_step(const X x[C::features], typename C::state0_t h[C::units],
              const typename C::input::weight_t weight[C::features * 3 * C::units],
              const typename C::input::bias_t bias[3 * C::units],
              const typename C::recurrent::weight_t recurrent_weight[C::units * 3 * C::units],
              const typename C::recurrent::bias_t recurrent_bias[3 * C::units],
              const typename C::act::table_t table[C::act::entries], const typename C::act::offset_t offset[1],
              const typename C::gate::table_t gate_table[C::gate::entries],
              const typename C::gate::offset_t gate_offset[1]) {
#pragma HLS INLINE
    typename C::input::accum_t a[3 * C::units];
    typename C::recurrent::accum_t r[3 * C::units];
#pragma HLS ARRAY_PARTITION variable=a complete
#pragma HLS ARRAY_PARTITION variable=r complete
    products<typename C::input>(x, a, weight, bias);
    products<typename C::recurrent>(h, r, recurrent_weight, recurrent_bias);
    for (int u = 0; u < C::units; ++u) {
#pragma HLS UNROLL
        const int v = C::units + u, n = 2 * C::units + u;
        const typename C::sum_t sum_z = a[u] + r[u], sum_r = a[v] + r[v];
        const typename C::gate::value_t update = activated<typename C::gate>(sum_z, gate_table, gate_offset);
        const typename C::gate::value_t reset = activated<typename C::gate>(sum_r, gate_table, gate_offset);
        const typename C::recurrent::accum_t p = cast<typename C::recurrent::accum_t>(reset * r[n]);
        h[u] = mixed<C>(update, h[u], a[n], p, table, offset);
    }
}

// The reset gate scales the state: p = (r * h) * candidate_weight + candidate_bias, r * h cast to the state's type.
// The recurrent weights are those of z and r only.
template <class C, class X>
void gru_reset_before_step(const X x[C::features], typename C::state0_t h[C::units],
                           const typename C::input::weight_t weight[C::features * 3 * C::units],
                           const typename C::input::bias_t bias[3 * C::units],
                           const typename C::recurrent::weight_t recurrent_weight[C::units * 2 * C::units],
                           const typename C::recurrent::bias_t recurrent_bias[2 * C::units],
                           const typename C::candidate::weight_t candidate_weight[C::units * C::units],
                           const typename C::candidate::bias_t candidate_bias[C::units],
                           const typename C::act::table_t table[C::act::entries],
                           const typename C::act::offset_t offset[1],
                           const typename C::gate::table_t gate_table[C::gate::entries],
                           const typename C::gate::offset_t gate_offset[1]) {
#pragma HLS INLINE
    typename C::state0_t past[C::units];
    typename C::gate::value_t update[C::units];
    typename C::input::accum_t a[3 * C::units];
    typename C::recurrent::accum_t r[2 * C::units];
    typename C::candidate::accum_t p[C::units];
#pragma HLS ARRAY_PARTITION variable=past complete
#pragma HLS ARRAY_PARTITION variable=update complete
#pragma HLS ARRAY_PARTITION variable=a complete
#pragma HLS ARRAY_PARTITION variable=r complete
#pragma HLS ARRAY_PARTITION variable=p complete
    products<typename C::input>(x, a, weight, bias);
    products<typename C::recurrent>(h, r, recurrent_weight, recurrent_bias);
    for (int u = 0; u < C::units; ++u) {
#pragma HLS UNROLL
        const int v = C::units + u;
        const typename C::sum_t sum_z = a[u] + r[u], sum_r = a[v] + r[v];
        update[u] = activated<typename C::gate>(sum_z, gate_table, gate_offset);
        past[u] = cast<typename C::state0_t>(activated<typename C::gate>(sum_r, gate_table, gate_offset) * h[u]);
    }
    products<typename C::candidate>(past, p, candidate_weight, candidate_bias);
    for (int u = 0; u < C::units; ++u) {
#pragma HLS UNROLL
        h[u] = mixed<C>(update[u], h[u], a[2 * C::units + u], p[u], table, offset);
    }
}

}  // namespace kbuild

#endif
