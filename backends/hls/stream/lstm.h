// Long short-term memory over a stream of steps, forwards: from zeros, or from given states. As in lstm.h.
#ifndef KBUILD_STREAM_LSTM_H
#define KBUILD_STREAM_LSTM_H

#include "../lstm.h"
#include "recurrent.h"

namespace kbuild {

template <class C, class X, class Y>
void stream_lstm(hls::stream<X>& x, hls::stream<Y>& y,
                 const typename C::input::weight_t weight[C::features * 4 * C::units],
                 const typename C::input::bias_t bias[4 * C::units],
                 const typename C::recurrent::weight_t recurrent_weight[C::units * 4 * C::units],
                 const typename C::recurrent::bias_t recurrent_bias[4 * C::units],
                 const typename C::act::table_t table[C::act::entries], const typename C::act::offset_t offset[1],
                 const typename C::gate::table_t gate_table[C::gate::entries],
                 const typename C::gate::offset_t gate_offset[1],
                 const typename C::act_cell::table_t cell_table[C::act_cell::entries],
                 const typename C::act_cell::offset_t cell_offset[1]) {
    typename C::state0_t h[C::units];
    typename C::state1_t c[C::units];
#pragma HLS ARRAY_PARTITION variable=h complete
#pragma HLS ARRAY_PARTITION variable=c complete
    clear_state<C::units>(h);
    clear_state<C::units>(c);
    for (int step = 0; step < C::steps; ++step) {
        typename X::value_type row[X::size];
#pragma HLS ARRAY_PARTITION variable=row complete
        read_packet(x, row, 0);
        lstm_step<C>(row, h, c, weight, bias, recurrent_weight, recurrent_bias, table, offset, gate_table,
                     gate_offset, cell_table, cell_offset);
        if (C::output == 0)
            write_state<C>(h, y, step);
        else
            write_state<C>(c, y, step);
    }
}

template <class C, class X, class H0, class C0, class Y>
void stream_lstm(hls::stream<X>& x, hls::stream<H0>& start_h, hls::stream<C0>& start_c, hls::stream<Y>& y,
                 const typename C::input::weight_t weight[C::features * 4 * C::units],
                 const typename C::input::bias_t bias[4 * C::units],
                 const typename C::recurrent::weight_t recurrent_weight[C::units * 4 * C::units],
                 const typename C::recurrent::bias_t recurrent_bias[4 * C::units],
                 const typename C::act::table_t table[C::act::entries], const typename C::act::offset_t offset[1],
                 const typename C::gate::table_t gate_table[C::gate::entries],
                 const typename C::gate::offset_t gate_offset[1],
                 const typename C::act_cell::table_t cell_table[C::act_cell::entries],
                 const typename C::act_cell::offset_t cell_offset[1]) {
    typename C::state0_t h[C::units];
    typename C::state1_t c[C::units];
#pragma HLS ARRAY_PARTITION variable=h complete
#pragma HLS ARRAY_PARTITION variable=c complete
    read_state<C::units>(start_h, h);
    read_state<C::units>(start_c, c);
    for (int step = 0; step < C::steps; ++step) {
        typename X::value_type row[X::size];
#pragma HLS ARRAY_PARTITION variable=row complete
        read_packet(x, row, 0);
        lstm_step<C>(row, h, c, weight, bias, recurrent_weight, recurrent_bias, table, offset, gate_table,
                     gate_offset, cell_table, cell_offset);
        if (C::output == 0)
            write_state<C>(h, y, step);
        else
            write_state<C>(c, y, step);
    }
}

}  // namespace kbuild

#endif
