// One packet for `count` packets that follow each other, `outer` times, channel by channel; as in reduce.h.
#ifndef KBUILD_STREAM_REDUCTION_H
#define KBUILD_STREAM_REDUCTION_H

#include "../divide.h"
#include "../pool.h"
#include "packet.h"

namespace kbuild {

// The exact sum of `count` packets.
template <class C, class X>
void stream_sum(hls::stream<X>& x, typename C::sum_t sum[C::channels]) {
#pragma HLS INLINE
    for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
        sum[c] = 0;
    }
    for (int i = 0; i < C::count; ++i) {
#pragma HLS PIPELINE II=1
        const X packet = x.read();
        add_elements<C>(packet.data, 0, sum);
    }
}

template <class C, class X, class Y>
void stream_reduce_sum(hls::stream<X>& x, hls::stream<Y>& y) {
    for (int o = 0; o < C::outer; ++o) {
        typename C::sum_t sum[C::channels];
#pragma HLS ARRAY_PARTITION variable=sum complete
        stream_sum<C>(x, sum);
        Y result;
        for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
            result[c] = cast<typename Y::value_type>(sum[c]);
        }
        y.write(result);
    }
}

template <class C, class X, class Y>
void stream_reduce_mean(hls::stream<X>& x, hls::stream<Y>& y) {
    for (int o = 0; o < C::outer; ++o) {
        typename C::sum_t sum[C::channels];
#pragma HLS ARRAY_PARTITION variable=sum complete
        stream_sum<C>(x, sum);
        Y result;
        for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
            result[c] = divided<C, typename Y::value_type>(sum[c], C::count);
        }
        y.write(result);
    }
}

// The mean of a power of two of packets, whose reciprocal is unit_t.
template <class C, class X, class Y>
void stream_reduce_scaled(hls::stream<X>& x, hls::stream<Y>& y) {
    for (int o = 0; o < C::outer; ++o) {
        typename C::sum_t sum[C::channels];
#pragma HLS ARRAY_PARTITION variable=sum complete
        stream_sum<C>(x, sum);
        Y result;
        for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
            result[c] = cast<typename Y::value_type>(sum[c] * unit<typename C::unit_t>());
        }
        y.write(result);
    }
}

// The largest elements, or the smallest (`largest` is 0).
template <class C, class X, class Y>
void stream_reduce_extreme(hls::stream<X>& x, hls::stream<Y>& y) {
    for (int o = 0; o < C::outer; ++o) {
        typename X::value_type found[C::channels];
#pragma HLS ARRAY_PARTITION variable=found complete
        for (int i = 0; i < C::count; ++i) {
#pragma HLS PIPELINE II=1
            const X packet = x.read();
            for (int c = 0; c < C::channels; ++c)
                if (i == 0 || (C::largest ? packet[c] > found[c] : packet[c] < found[c])) found[c] = packet[c];
        }
        Y result;
        for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
            result[c] = cast<typename Y::value_type>(found[c]);
        }
        y.write(result);
    }
}

}  // namespace kbuild

#endif
