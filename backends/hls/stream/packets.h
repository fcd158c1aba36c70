// Packets between streams and arrays, and packets of one width made of those of another.
#ifndef KBUILD_PACKETS_H
#define KBUILD_PACKETS_H

#include "packet.h"

namespace kbuild {

// The next packet becomes the packet `index` of an array.
template <class P>
void read_packet(hls::stream<P>& in, typename P::value_type* values, int index) {
#pragma HLS INLINE
    const P packet = in.read();
    for (int i = 0; i < P::size; ++i) {
#pragma HLS UNROLL
        values[index * P::size + i] = packet[i];
    }
}

// The packet `index` of an array.
template <class P>
void write_packet(const typename P::value_type* values, int index, hls::stream<P>& out) {
#pragma HLS INLINE
    P packet;
    for (int i = 0; i < P::size; ++i) {
#pragma HLS UNROLL
        packet[i] = values[index * P::size + i];
    }
    out.write(packet);
}

// Each of `packets` packets is cut into `parts`.
template <class C, class P, class Q>
void cut_packets(hls::stream<P>& in, hls::stream<Q>& out) {
    P packet;
    for (int i = 0; i < C::packets; ++i) {
        for (int part = 0; part < C::parts; ++part) {
#pragma HLS PIPELINE II=1
            if (part == 0) packet = in.read();
            Q piece;
            for (int j = 0; j < Q::size; ++j) {
#pragma HLS UNROLL
                piece[j] = packet[part * Q::size + j];
            }
            out.write(piece);
        }
    }
}

// `parts` packets become one, `packets` times.
template <class C, class P, class Q>
void join_packets(hls::stream<P>& in, hls::stream<Q>& out) {
    Q packet;
    for (int i = 0; i < C::packets; ++i) {
        for (int part = 0; part < C::parts; ++part) {
#pragma HLS PIPELINE II=1
            const P piece = in.read();
            for (int j = 0; j < P::size; ++j) {
#pragma HLS UNROLL
                packet[part * P::size + j] = piece[j];
            }
            if (part == C::parts - 1) out.write(packet);
        }
    }
}

}  // namespace kbuild

#endif
