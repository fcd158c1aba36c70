// A value in another type, where it may be rounded: every result of a kernel, and every term of a sum.
//
// The headers of Vivado and Vitis, where a type rounds, look at the highest bit that is dropped, and their C simulation
// stops where a value has no bit there, nor at the place below. Such a value is less than half an LSB, whatever its
// bits: it is zero in every mode but AP_TRN, for which nothing of that is looked at.
#ifndef KBUILD_CAST_H
#define KBUILD_CAST_H

namespace kbuild {

template <bool VANISHES>
struct Cast {
    template <class T, class X>
    static T of(const X& x) {
#pragma HLS INLINE
        return T(x);
    }
};
template <>
struct Cast<true> {
    template <class T, class X>
    static T of(const X&) {
#pragma HLS INLINE
        return T(0);
    }
};

template <class T, class X>
T cast(const X& x) {
#pragma HLS INLINE
    const bool vanishes = T::qmode != AP_TRN && X::iwidth + T::width - T::iwidth < 0;
    return Cast<vanishes>::template of<T>(x);
}

}  // namespace kbuild

#endif
