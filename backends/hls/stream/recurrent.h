// Recurrent layers over streams of steps: what they have in common. A packet is one step, or a state.
#ifndef KBUILD_STREAM_RECURRENT_H
#define KBUILD_STREAM_RECURRENT_H

#include "../recurrent.h"
#include "packets.h"

namespace kbuild {

// A given state, cast to the type of the state, or an element of the sequence.
template <int UNITS, class H, class S>
void read_state(hls::stream<H>& start, S state[UNITS]) {
#pragma HLS INLINE
    const H packet = start.read();
    for (int u = 0; u < UNITS; ++u) {
#pragma HLS UNROLL
        state[u] = cast<S>(packet[u]);
    }
}

// A state after a step.
template <int UNITS, class S, class Y>
void write_state(const S state[UNITS], hls::stream<Y>& y) {
#pragma HLS INLINE
    Y packet;
    for (int u = 0; u < UNITS; ++u) {
#pragma HLS UNROLL
        packet[u] = cast<typename Y::value_type>(state[u]);
    }
    y.write(packet);
}

}  // namespace kbuild

#endif
