// A simple recurrent layer over a stream of steps, forwards: from zeros, or from given states. As in simple_rnn.h.
#ifndef KBUILD_STREAM_SIMPLE_RNN_H
#define KBUILD_STREAM_SIMPLE_RNN_H

#include "../simple_rnn.h"
#include "recurrent.h"

namespace kbuild {

template <class C, class X, class Y>
void stream_simple_rnn(hls::stream<X>& x, hls::stream<Y>& y,
                       const typename C::input::weight_t weight[C::features * C::units],
                       const typename C::input::bias_t bias[C::units],
                       const typename C::recurrent::weight_t recurrent_weight[C::units * C::units],
                       const typename C::recurrent::bias_t recurrent_bias[C::units],
                       const typename C::act::table_t table[C::act::entries],
                       const typename C::act::offset_t offset[1]) {
    typename C::state0_t h[C::units];
#pragma HLS ARRAY_PARTITION variable=h complete
    clear_state<C::units>(h);
    for (int step = 0; step < C::steps; ++step) {
        typename X::value_type row[X::size];
#pragma HLS ARRAY_PARTITION variable=row complete
        read_packet(x, row, 0);
        simple_rnn_step<C>(row, h, weight, bias, recurrent_weight, recurrent_bias, table, offset);
        write_state<C>(h, y, step);
    }
}

template <class C, class X, class H0, class Y>
void stream_simple_rnn(hls::stream<X>& x, hls::stream<H0>& start_h, hls::stream<Y>& y,
                       const typename C::input::weight_t weight[C::features * C::units],
                       const typename C::input::bias_t bias[C::units],
                       const typename C::recurrent::weight_t recurrent_weight[C::units * C::units],
                       const typename C::recurrent::bias_t recurrent_bias[C::units],
                       const typename C::act::table_t table[C::act::entries],
                       const typename C::act::offset_t offset[1]) {
    typename C::state0_t h[C::units];
#pragma HLS ARRAY_PARTITION variable=h complete
    read_state<C::units>(start_h, h);
    for (int step = 0; step < C::steps; ++step) {
        typename X::value_type row[X::size];
#pragma HLS ARRAY_PARTITION variable=row complete
        read_packet(x, row, 0);
        simple_rnn_step<C>(row, h, weight, bias, recurrent_weight, recurrent_bias, table, offset);
        write_state<C>(h, y, step);
    }
}

}  // namespace kbuild

#endif
