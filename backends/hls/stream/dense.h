// A dense layer whose inputs arrive in `packets` packets; as in dense.h, each is used when it arrives.
#ifndef KBUILD_STREAM_DENSE_H
#define KBUILD_STREAM_DENSE_H

#include "../products.h"
#include "packets.h"

namespace kbuild {

template <class C, class Y>
void stream_result(hls::stream<Y>& y, const typename C::accum_t accum[C::outputs]) {
#pragma HLS INLINE
    Y result;
    for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
        result[n] = cast<typename Y::value_type>(accum[n]);
    }
    y.write(result);
}

// Latency: a packet every `interval` cycles, with at most `multipliers` multipliers, each with its weights beside it.
template <class C, class X, class Y>
void stream_dense_latency(hls::stream<X>& x, hls::stream<Y>& y,
                          const typename C::weight_t weight[C::inputs * C::outputs],
                          const typename C::bias_t bias[C::outputs]) {
#pragma HLS ARRAY_PARTITION variable=weight cyclic factor=C::at_once
#pragma HLS ARRAY_PARTITION variable=bias complete
#pragma HLS ALLOCATION operation instances=mul limit=C::multipliers
    typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
    for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
        accum[n] = cast<typename C::accum_t>(bias[n]);
    }
    for (int p = 0; p < C::packets; ++p) {
#pragma HLS PIPELINE II=C::interval
        typename X::value_type values[X::size];
#pragma HLS ARRAY_PARTITION variable=values complete
        read_packet(x, values, 0);
        add_products<C, 1, X::size>(values, 0, accum, weight, p * X::size);
    }
    stream_result<C>(y, accum);
}

// Unrolled: every weight is a constant beside its own input, so that the tool may make shifts and adders of it.
template <class C, class X, class Y>
void stream_dense_unrolled(hls::stream<X>& x, hls::stream<Y>& y,
                           const typename C::weight_t weight[C::inputs * C::outputs],
                           const typename C::bias_t bias[C::outputs]) {
#pragma HLS FUNCTION_INSTANTIATE variable=weight,bias
#pragma HLS ARRAY_PARTITION variable=weight complete
#pragma HLS ARRAY_PARTITION variable=bias complete
    typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
    for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
        accum[n] = cast<typename C::accum_t>(bias[n]);
    }
    for (int p = 0; p < C::packets; ++p) {
#pragma HLS UNROLL
        typename X::value_type values[X::size];
#pragma HLS ARRAY_PARTITION variable=values complete
        read_packet(x, values, 0);
        add_products<C, 1, X::size>(values, 0, accum, weight, p * X::size);
    }
    stream_result<C>(y, accum);
}

// Resource: each packet takes `steps` steps of `products` products.
template <class C, class X, class Y>
void stream_dense_resource(hls::stream<X>& x, hls::stream<Y>& y,
                           const typename C::weight_t weight[C::inputs * C::outputs],
                           const typename C::bias_t bias[C::outputs]) {
#pragma HLS ARRAY_RESHAPE variable=weight cyclic factor=C::products
#pragma HLS ARRAY_PARTITION variable=bias complete
    typename C::accum_t accum[C::outputs];
#pragma HLS ARRAY_PARTITION variable=accum complete
    for (int n = 0; n < C::outputs; ++n) {
#pragma HLS UNROLL
        accum[n] = cast<typename C::accum_t>(bias[n]);
    }
    for (int p = 0; p < C::packets; ++p) {
        typename X::value_type values[X::size];
#pragma HLS ARRAY_PARTITION variable=values complete
        read_packet(x, values, 0);
        add_steps<C, 1, C::steps>(values, 0, accum, weight, p * C::steps);
    }
    stream_result<C>(y, accum);
}

}  // namespace kbuild

#endif
