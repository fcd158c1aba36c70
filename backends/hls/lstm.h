// Long short-term memory. With a + r = x[t] * weight + bias + h * recurrent_weight + recurrent_bias in the parts
// i, f, g, o: c = gate(f) * c + gate(i) * activation(g), h = gate(o) * activation(c), each exact and cast once.
#ifndef KBUILD_LSTM_H
#define KBUILD_LSTM_H

#include "recurrent.h"

namespace kbuild {

// The next states.
template <class C, class X>
void lstm_step(const X x[C::features], typename C::state0_t h[C::units], typename C::state1_t c[C::units],
               const typename C::input::weight_t weight[C::features * 4 * C::units],
               const typename C::input::bias_t bias[4 * C::units],
               const typename C::recurrent::weight_t recurrent_weight[C::units * 4 * C::units],
               const typename C::recurrent::bias_t recurrent_bias[4 * C::units],
               const typename C::act::table_t table[C::act::entries], const typename C::act::offset_t offset[1],
               const typename C::gate::table_t gate_table[C::gate::entries],
               const typename C::gate::offset_t gate_offset[1],
               const typename C::act_cell::table_t cell_table[C::act_cell::entries],
               const typename C::act_cell::offset_t cell_offset[1]) {
#pragma HLS INLINE
    typename C::input::accum_t a[4 * C::units];
    typename C::recurrent::accum_t r[4 * C::units];
#pragma HLS ARRAY_PARTITION variable=a complete
#pragma HLS ARRAY_PARTITION variable=r complete
    products<typename C::input>(x, a, weight, bias);
    products<typename C::recurrent>(h, r, recurrent_weight, recurrent_bias);
    for (int u = 0; u < C::units; ++u) {
#pragma HLS UNROLL
        const int i = u, f = C::units + u, g = 2 * C::units + u, o = 3 * C::units + u;
        const typename C::sum_t sum_i = a[i] + r[i], sum_f = a[f] + r[f], sum_g = a[g] + r[g], sum_o = a[o] + r[o];
        const typename C::gate::value_t in = activated<typename C::gate>(sum_i, gate_table, gate_offset);
        const typename C::gate::value_t forget = activated<typename C::gate>(sum_f, gate_table, gate_offset);
        const typename C::gate::value_t out = activated<typename C::gate>(sum_o, gate_table, gate_offset);
        const typename C::act::value_t added = activated<typename C::act>(sum_g, table, offset);
        c[u] = cast<typename C::state1_t>(forget * c[u] + in * added);
        h[u] = cast<typename C::state0_t>(out * activated<typename C::act_cell>(c[u], cell_table, cell_offset));
    }
}

}  // namespace kbuild

#endif
