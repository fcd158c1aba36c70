// Recurrent layers over streams of steps: what they have in common. A packet is one step, or a state.
#ifndef KBUILD_STREAM_RECURRENT_H
#define KBUILD_STREAM_RECURRENT_H

#include "../recurrent.h"
#include "packets.h"

namespace kbuild {

// Zeros, the state before the first step.
template <int UNITS, class S>
void clear_state(S state[UNITS]) {
#pragma HLS INLINE
    for (int u = 0; u < UNITS; ++u) {
#pragma HLS UNROLL
        state[u] = 0;
    }
}

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

// The state after a step: after each with `return_sequences`, else after the last.
template <class C, class S, class Y>
void write_state(const S state[C::units], hls::stream<Y>& y, int step) {
#pragma HLS INLINE
    if (!C::return_sequences && step < C::steps - 1) return;
    Y packet;
    for (int u = 0; u < C::units; ++u) {
#pragma HLS UNROLL
        packet[u] = cast<typename Y::value_type>(state[u]);
    }
    y.write(packet);
}

}  // namespace kbuild

#endif
