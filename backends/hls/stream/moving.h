// Packets at other places, each element cast to the result: pad and crop, repeat, concatenate.
#ifndef KBUILD_STREAM_MOVING_H
#define KBUILD_STREAM_MOVING_H

#include "../cast.h"
#include "packet.h"

namespace kbuild {

// The loops run over the elements of axes 0 .. 2, padding included: `size` elements of x from `low` on, in `all`. Those
// from `first` to `last` are kept. Channels: `low3` zeros before them, or as many fewer.
template <class C, class X, class Y>
void stream_pad(hls::stream<X>& x, hls::stream<Y>& y) {
    for (int i0 = 0; i0 < C::all0; ++i0) {
        for (int i1 = 0; i1 < C::all1; ++i1) {
            for (int i2 = 0; i2 < C::all2; ++i2) {
#pragma HLS PIPELINE II=1
                const bool there = i0 >= C::low0 && i0 - C::low0 < C::size0 && i1 >= C::low1 &&
                                   i1 - C::low1 < C::size1 && i2 >= C::low2 && i2 - C::low2 < C::size2;
                X packet;
                if (there) packet = x.read();
                if (i0 < C::first0 || i0 > C::last0 || i1 < C::first1 || i1 > C::last1 || i2 < C::first2 ||
                    i2 > C::last2)
                    continue;
                Y result;
                for (int c = 0; c < Y::size; ++c) {
                    typename Y::value_type value = 0;
                    if (there && c >= C::low3 && c - C::low3 < X::size)
                        value = cast<typename Y::value_type>(packet[c - C::low3]);
                    result[c] = value;
                }
                y.write(result);
            }
        }
    }
}

// The elements of x `factor3` times in a row each.
template <class C, class X, class Y>
Y stream_widened(const X& packet) {
#pragma HLS INLINE
    Y result;
    for (int c = 0; c < X::size; ++c) {
        for (int i = 0; i < C::factor3; ++i) result[c * C::factor3 + i] = cast<typename Y::value_type>(packet[c]);
    }
    return result;
}

// Each packet `factor2` times in a row.
template <class C, class X, class Y>
void stream_repeat(hls::stream<X>& x, hls::stream<Y>& y) {
    Y result;
    for (int i = 0; i < C::size2; ++i) {
        for (int again = 0; again < C::factor2; ++again) {
#pragma HLS PIPELINE II=1
            if (again == 0) result = stream_widened<C, X, Y>(x.read());
            y.write(result);
        }
    }
}

// Each plane `factor0` times, each row of it `factor1` times, each packet of that `factor2` times. A row is in memory,
// or, where planes are repeated, a plane, whose rows lie `row_distance` apart.
template <class C, class X, class Y>
void stream_repeat_rows(hls::stream<X>& x, hls::stream<Y>& y) {
    typename X::value_type held[C::held][X::size];
#pragma HLS ARRAY_RESHAPE variable=held complete dim=2
    X packet;
    for (int i0 = 0; i0 < C::size0; ++i0) {
        for (int again0 = 0; again0 < C::factor0; ++again0) {
            for (int i1 = 0; i1 < C::size1; ++i1) {
                for (int again1 = 0; again1 < C::factor1; ++again1) {
                    for (int i2 = 0; i2 < C::size2; ++i2) {
                        for (int again2 = 0; again2 < C::factor2; ++again2) {
#pragma HLS PIPELINE II=1
#pragma HLS DEPENDENCE variable=held inter RAW distance=C::size2 true
                            const bool fresh = again0 == 0 && again1 == 0;
                            const int place = i1 * C::row_distance + i2;
                            if (fresh && again2 == 0) packet = x.read();
                            for (int c = 0; c < X::size; ++c) {
                                if (fresh && again2 == 0) held[place][c] = packet[c];
                                if (!fresh && again2 == 0) packet[c] = held[place][c];
                            }
                            y.write(stream_widened<C, X, Y>(packet));
                        }
                    }
                }
            }
        }
    }
}

// `count` packets.
template <class X, class Y>
void copy_packets(hls::stream<X>& x, hls::stream<Y>& y, int count) {
#pragma HLS INLINE
    for (int i = 0; i < count; ++i) {
#pragma HLS PIPELINE II=1
        const X packet = x.read();
        Y result;
        for (int c = 0; c < X::size; ++c) result[c] = cast<typename Y::value_type>(packet[c]);
        y.write(result);
    }
}

// `outer` times a block of packets from each input.
template <class C, class A, class B, class Y>
void stream_concatenate(hls::stream<A>& a, hls::stream<B>& b, hls::stream<Y>& y) {
    for (int o = 0; o < C::outer; ++o) {
        copy_packets(a, y, C::block0);
        copy_packets(b, y, C::block1);
    }
}

template <class C, class A, class B, class D, class Y>
void stream_concatenate(hls::stream<A>& a, hls::stream<B>& b, hls::stream<D>& d, hls::stream<Y>& y) {
    for (int o = 0; o < C::outer; ++o) {
        copy_packets(a, y, C::block0);
        copy_packets(b, y, C::block1);
        copy_packets(d, y, C::block2);
    }
}

template <class C, class A, class B, class D, class E, class Y>
void stream_concatenate(hls::stream<A>& a, hls::stream<B>& b, hls::stream<D>& d, hls::stream<E>& e,
                        hls::stream<Y>& y) {
    for (int o = 0; o < C::outer; ++o) {
        copy_packets(a, y, C::block0);
        copy_packets(b, y, C::block1);
        copy_packets(d, y, C::block2);
        copy_packets(e, y, C::block3);
    }
}

}  // namespace kbuild

#endif
