// Sliding windows over up to three spatial axes, the channels last. A configuration has for each axis i the positions
// of the window, its `kernel`, `stride` and `dilation`, and of the input the `size`, the padding before it, `low`, and
// the distance between its elements, `spread` (zeros lie between them); axes that are not there have length 1.
#ifndef KBUILD_WINDOW_H
#define KBUILD_WINDOW_H

#define KBUILD_EACH_POSITION(C)                           \
    for (int p0 = 0; p0 < C::positions0; ++p0)            \
        for (int p1 = 0; p1 < C::positions1; ++p1)        \
            for (int p2 = 0; p2 < C::positions2; ++p2)
#define KBUILD_POSITION(C) ((p0 * C::positions1 + p1) * C::positions2 + p2)

namespace kbuild {

// The position after this one, in row-major order.
template <class C>
void advance(int& p0, int& p1, int& p2) {
#pragma HLS INLINE
    if (++p2 < C::positions2) return;
    p2 = 0;
    if (++p1 < C::positions1) return;
    p1 = 0;
    ++p0;
}

// The index along an axis of the element under place k of the window at position p; -1 where there is none.
inline int under(int p, int k, int stride, int dilation, int low, int spread, int size) {
#pragma HLS INLINE
    const int i = p * stride + k * dilation - low;
    return i < 0 || i % spread != 0 || i / spread >= size ? -1 : i / spread;
}

// The same without dilation and zeros between; the first or last element where there is none. A window that touches
// the input has that element in it.
inline int nearest(int p, int k, int stride, int low, int size) {
#pragma HLS INLINE
    const int i = p * stride + k - low;
    return i < 0 ? 0 : i >= size ? size - 1 : i;
}

}  // namespace kbuild

#endif
