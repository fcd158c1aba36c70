// What a FIFO carries with io_stream: neighbours along the last axis, as a rule all channels of one position.
#ifndef KBUILD_PACKET_H
#define KBUILD_PACKET_H

namespace kbuild {

template <class T, int N>
struct packet {
    typedef T value_type;
    static const int size = N;
    T data[N];
    T& operator[](int i) { return data[i]; }
    const T& operator[](int i) const { return data[i]; }
};

}  // namespace kbuild

#endif
