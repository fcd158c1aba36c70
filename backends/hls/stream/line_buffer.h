// A window that slides over the packets of a stream, one pixel each, row by row; channels last.
//
// A configuration has for each axis i (one spatial axis is axis 1) the `size` of the input, the `kernel`, its `stride`
// and `dilation`, and `spread`, the distance between the elements of the input (zeros lie between them). The window's
// newest corner walks over the spread out input and its padding: it is at v = i * spread + f, for i in first .. end - 1
// and f in 0 .. spread - 1. Positions of the output are those with the corner at `start`, `start + stride` .. `last`.
//
// The registers of the window hold `rows` x `columns` pixels, the oldest first, with zeros where there is no input.
// Place o of the spread out window, counted back from its newest corner, is pixel o / spread (counted back) while
// o % spread equals f, else a zero. What of earlier rows is needed again lies in `lines` memories of a row each: a place
// that is written is read again a row later, `line_width` or more corners, which a pipeline is told as the distance of
// the dependence.
#ifndef KBUILD_LINE_BUFFER_H
#define KBUILD_LINE_BUFFER_H

#include "../window.h"
#include "packet.h"

#define KBUILD_EACH_CORNER(C)                                    \
    for (int i0 = C::first0; i0 < C::end0; ++i0)                 \
        for (int f0 = 0; f0 < C::spread0; ++f0)                  \
            for (int i1 = C::first1; i1 < C::end1; ++i1)         \
                for (int f1 = 0; f1 < C::spread1; ++f1)

// The same in steps of `corners` corners of a row, which are computed together, for (int corner ...).
#define KBUILD_EACH_STEP(C)                                      \
    for (int i0 = C::first0; i0 < C::end0; ++i0)                 \
        for (int f0 = 0; f0 < C::spread0; ++f0)                  \
            for (int step = 0; step < C::steps; ++step)
#define KBUILD_CORNER(C)                                         \
    const int v1 = step * C::corners + corner;                   \
    const int i1 = C::first1 + v1 / C::spread1, f1 = v1 % C::spread1;

// Whether the window is at a position of the output.
#define KBUILD_COMPLETE(C)                                                                           \
    (kbuild::complete(i0 * C::spread0 + f0, C::start0, C::stride0, C::last0) &&                      \
     kbuild::complete(i1 * C::spread1 + f1, C::start1, C::stride1, C::last1))

namespace kbuild {

inline bool complete(int v, int start, int stride, int last) {
#pragma HLS INLINE
    return v >= start && v <= last && (v - start) % stride == 0;
}

// The place of the kernel that meets the pixel `back` before the newest one; -1 where none does.
inline int meets(int back, int f, int kernel, int dilation, int spread) {
#pragma HLS INLINE
    const int o = back * spread + f;
    return o % dilation != 0 || o / dilation >= kernel ? -1 : kernel - 1 - o / dilation;
}

// Move the window by one column, whose newest pixel is read where there is one. In a row without positions of the
// output it rests, and only the line memories move.
template <class C, class X, class T>
void slide(hls::stream<X>& x, T line[C::line_rows][C::line_width][C::channels],
           T window[C::rows * C::columns * C::channels], int i0, int f0, int i1) {
#pragma HLS INLINE
    const bool inside = i1 >= 0 && i1 < C::size1;
    const bool fresh = C::spread0 == 1 || f0 == 0;
    const int column = inside ? i1 : 0;
    X pixel;
    if (inside && fresh && i0 >= 0 && i0 < C::size0) pixel = x.read();
    const bool used = complete(i0 * C::spread0 + f0, C::start0, C::stride0, C::last0);
    if (used) {
        for (int r = 0; r < C::rows; ++r) {
#pragma HLS UNROLL
            const int row = r * C::columns * C::channels, newest = row + (C::columns - 1) * C::channels;
            for (int i = row; i < newest; ++i) {
#pragma HLS UNROLL
                window[i] = window[i + C::channels];
            }
            const int back = C::rows - 1 - r;
            if (!inside || i0 < back || i0 - back >= C::size0) {
                for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
                    window[newest + c] = 0;
                }
            } else if (fresh && back == 0) {
                for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
                    window[newest + c] = pixel[c];
                }
            } else {
                const int l = fresh && back > 0 ? back - 1 : back;
                for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
                    window[newest + c] = line[l][column][c];
                }
            }
        }
    }
    if (inside && fresh) {
        for (int l = C::lines - 1; l >= 0; --l) {
#pragma HLS UNROLL
            for (int c = 0; c < C::channels; ++c) {
#pragma HLS UNROLL
                if (l > 0) line[l][column][c] = line[l - 1][column][c];
                if (l == 0) line[l][column][c] = pixel[c];
            }
        }
    }
}

// Zeros, before a row.
template <class C, class T>
void empty(T window[C::rows * C::columns * C::channels]) {
#pragma HLS INLINE
    for (int i = 0; i < C::rows * C::columns * C::channels; ++i) {
#pragma HLS UNROLL
        window[i] = 0;
    }
}

}  // namespace kbuild

#endif
