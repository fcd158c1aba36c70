// The values of a sample in and out of streams, for the testbench.
#ifndef KBUILD_TESTBENCH_STREAM_H
#define KBUILD_TESTBENCH_STREAM_H

#include "hls_stream.h"
#include "testbench.h"

#include "kernels/stream/packets.h"

namespace kbuild {

template <class P>
void send(const typename P::value_type* values, int packets, hls::stream<P>& to) {
    for (int i = 0; i < packets; ++i) write_packet(values, i, to);
}

// Whether there were as many packets as there should be, no more and no fewer.
template <class P>
bool receive(hls::stream<P>& from, int packets, typename P::value_type* values) {
    for (int i = 0; i < packets; ++i) {
        if (from.empty()) return false;
        read_packet(from, values, i);
    }
    return from.empty();
}

}  // namespace kbuild

#endif
