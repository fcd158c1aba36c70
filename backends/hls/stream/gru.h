// Gated recurrent units over a stream of steps, forwards: from zeros, or from given states. As in gru.h.
#ifndef KBUILD_STREAM_GRU_H
#define KBUILD_STREAM_GRU_H

#include "../gru.h"
#include "recurrent.h"

namespace kbuild {

template <class C, class X, class Y>
void stream_gru(hls::stream<X>& x, hls::stream<Y>& y,
                const typename C::input::weight_t weight[C::features * 3 * C::units],
                const typename C::input::bias_t bias[3 * C::units],
                const typename C::recurrent::weight_t recurrent_weight[C::units * 3 * C::units],
                const typename C::recurrent::bias_t recurrent_bias[3 * C::units],
                const typename C::act::table_t table[C::act::entries], const typename C::act::offset_t offset[1],
                const typename C::gate::table_t gate_table[C::gate::entries],
                const typename C::gate::offset_t gate_offset[1]) {
    typename C::state0_t h[C::units];
#pragma HLS ARRAY_PARTITION variable=h complete
    clear_state<C::units>(h);
    for (int step = 0; step < C::steps; ++step) {
        typename X::value_type row[X::size];
#pragma HLS ARRAY_PARTITION variable=row complete
        read_packet(x, row, 0);
        gru_step<C>(row, h, weight, bias, recurrent_weight, recurrent_bias, table, offset, gate_table, gate_offset);
        write_state<C>(h, y, step);
    }
}

template <class C, class X, class H0, class Y>
void stream_gru(hls::stream<X>& x, hls::stream<H0>& start_h, hls::stream<Y>& y,
                const typename C::input::weight_t weight[C::features * 3 * C::units],
                const typename C::input::bias_t bias[3 * C::units],
                const typename C::recurrent::weight_t recurrent_weight[C::units * 3 * C::units],
                const typename C::recurrent::bias_t recurrent_bias[3 * C::units],
                const typename C::act::table_t table[C::act::entries], const typename C::act::offset_t offset[1],
                const typename C::gate::table_t gate_table[C::gate::entries],
                const typename C::gate::offset_t gate_offset[1]) {
    typename C::state0_t h[C::units];
#pragma HLS ARRAY_PARTITION variable=h complete
    read_state<C::units>(start_h, h);
    for (int step = 0; step < C::steps; ++step) {
        typename X::value_type row[X::size];
#pragma HLS ARRAY_PARTITION variable=row complete
        read_packet(x, row, 0);
        gru_step<C>(row, h, weight, bias, recurrent_weight, recurrent_bias, table, offset, gate_table, gate_offset);
        write_state<C>(h, y, step);
    }
}

template <class C, class X, class Y>
void stream_gru_reset_before(hls::stream<X>& x, hls::stream<Y>& y,
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
    typename C::state0_t h[C::units];
#pragma HLS ARRAY_PARTITION variable=h complete
    clear_state<C::units>(h);
    for (int step = 0; step < C::steps; ++step) {
        typename X::value_type row[X::size];
#pragma HLS ARRAY_PARTITION variable=row complete
        read_packet(x, row, 0);
        gru_reset_before_step<C>(row, h, weight, bias, recurrent_weight, recurrent_bias, candidate_weight,
                                 candidate_bias, table, offset, gate_table, gate_offset);
        write_state<C>(h, y, step);
    }
}

template <class C, class X, class H0, class Y>
void stream_gru_reset_before(hls::stream<X>& x, hls::stream<H0>& start_h, hls::stream<Y>& y,
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
    typename C::state0_t h[C::units];
#pragma HLS ARRAY_PARTITION variable=h complete
    read_state<C::units>(start_h, h);
    for (int step = 0; step < C::steps; ++step) {
        typename X::value_type row[X::size];
#pragma HLS ARRAY_PARTITION variable=row complete
        read_packet(x, row, 0);
        gru_reset_before_step<C>(row, h, weight, bias, recurrent_weight, recurrent_bias, candidate_weight,
                                 candidate_bias, table, offset, gate_table, gate_offset);
        write_state<C>(h, y, step);
    }
}

}  // namespace kbuild

#endif
