// Casts: quantise first, then overflow, as the ap_fixed (UG1399) and ac_fixed manuals define them.
#ifndef KFIXED_CAST_H
#define KFIXED_CAST_H

#include "kfixed_store.h"

namespace kfixed {

enum quantization { TRN, TRN_ZERO, RND, RND_ZERO, RND_INF, RND_MIN_INF, RND_CONV };
enum overflow { WRAP, SAT, SAT_ZERO, SAT_SYM };

// Whether the floor is to be incremented: `half` is the first dropped bit, `rest` whether any bit below it is set.
template <quantization Q>
constexpr bool round_up(bool negative, bool half, bool rest, bool odd) {
    return Q == TRN_ZERO      ? negative && (half || rest)
           : Q == RND         ? half
           : Q == RND_ZERO    ? half && (negative || rest)
           : Q == RND_INF     ? half && (!negative || rest)
           : Q == RND_MIN_INF ? half && rest
           : Q == RND_CONV    ? half && (odd || rest)
                              : false;
}

// v / 2^D rounded to an integer, D >= 1; v has W bits, and so has the result.
template <quantization Q, int D, int W, bool S, class T>
constexpr T quantise(const T& v) {
    constexpr bool below = D >= W;  // only the sign is left
    T floor = T(0);
    if constexpr (!below) floor = T(v >> D);
    else if constexpr (S) floor = v < T(0) ? T(-1) : T(0);
    if constexpr (Q == TRN || (Q == TRN_ZERO && !S)) {
        return floor;
    } else {
        bool negative = false, half = false, rest = false;
        if constexpr (S) negative = v < T(0);
        if constexpr (D <= W) half = bool(T(T(v >> (D - 1)) & T(1)));
        else half = negative;
        if constexpr (D - 1 >= W) rest = v != T(0);
        else if constexpr (D > 1) rest = T(v & low_bits<W, S>(D - 1)) != T(0);
        return T(floor + T(round_up<Q>(negative, half, rest, bool(T(floor & T(1))))));
    }
}

// As `quantise` for a shift known at run time, d >= 1, |v| < 2^60.
template <quantization Q>
constexpr int64_t quantise_by(int64_t v, int64_t d) {
    const int n = d < 62 ? int(d) : 62;  // beyond 62 the floor, the half bit and the rest no longer change
    return (v >> n) + round_up<Q>(v < 0, v >> (n - 1) & 1, (v & ((int64_t(1) << (n - 1)) - 1)) != 0, v >> n & 1);
}

// The ends of the range of W bits. A saturating cast of -1 into one signed bit gives -1 even for SAT_SYM (vendors).
template <int W, bool S>
constexpr store_t<W, S> highest() {
    return static_cast<store_t<W, S>>(~shifted<W + !S, true>(store_t<W + !S, true>(-1), W - S));
}
template <overflow O, int W, bool S>
constexpr store_t<W, S> lowest() {
    if constexpr (!S) return store_t<W, S>(0);
    else if constexpr (O == SAT_SYM && W > 1) return store_t<W, S>(-highest<W, S>());
    else return shifted<W, S>(store_t<W, S>(-1), W - 1);
}

// What a value that is certainly outside the range becomes (not for WRAP).
template <overflow O, int W, bool S>
constexpr store_t<W, S> saturated(bool negative) {
    if (O == SAT_ZERO) return store_t<W, S>(0);
    return negative ? lowest<O, W, S>() : highest<W, S>();
}

// The largest and smallest v for which v * 2^L is in the range of W bits, in the wider type C.
template <class C, int L, int W, bool S>
constexpr C highest_before() {
    if constexpr (L >= W) return C(0);
    else return C(C(highest<W, S>()) >> L);
}
template <class C, overflow O, int L, int W, bool S>
constexpr C lowest_before() {
    if constexpr (!S || L >= W) return C(0);
    else if constexpr (O == SAT_SYM && W > 1) return C(-highest_before<C, L, W, S>());
    else return C(shifted<W, S>(store_t<W, S>(-1), W - 1 - L));
}

// v * 2^L brought into W bits by the overflow mode, L >= 0; v has W2 bits.
template <overflow O, int L, int W, bool S, int W2, bool S2, class T>
constexpr store_t<W, S> limit(const T& v) {
    typedef store_t<W, S> R;
    if constexpr (O == WRAP && L >= W) {
        return R(0);
    } else if constexpr (O == WRAP) {
        return normalise<W, S>(static_cast<modular_t<W, S>>(shifted<W, S>(static_cast<R>(v), L)));
    } else {
        typedef store_t<max_of(W + !S, W2 + !S2), true> C;  // holds v and both ends
        constexpr C high = highest_before<C, L, W, S>(), low = lowest_before<C, O, L, W, S>();
        const C c = static_cast<C>(v);
        if constexpr (L == 0 && O != SAT_ZERO) {
            const C bounded = c < low ? low : c;
            return static_cast<R>(bounded > high ? high : bounded);
        } else {
            const R inside = shifted<W, S>(static_cast<R>(v), L < W ? L : 0);
            return c < low ? saturated<O, W, S>(true) : c > high ? saturated<O, W, S>(false) : inside;
        }
    }
}

// The whole cast of a value of W2 bits, I2 of them integer bits.
template <int W, int I, bool S, quantization Q, overflow O, int W2, int I2, bool S2>
constexpr store_t<W, S> cast(const store_t<W2, S2>& v) {
    constexpr int drop = (W2 - I2) - (W - I);  // fraction bits lost
    constexpr bool carries = drop > 0 && !(Q == TRN || (Q == TRN_ZERO && !S2));
    constexpr bool fits = (S || !S2) && I - S >= I2 - S2 + (carries || (S2 && O == SAT_SYM));
    constexpr overflow mode = fits ? WRAP : O;
#ifdef KFIXED_STRICT
    static_assert(!(carries && drop > W2), "the C simulation of Vivado and Vitis stops at this cast; see cast.h");
#endif
    if constexpr (drop > 0) return limit<mode, 0, W, S, W2, S2>(quantise<Q, drop, W2, S2>(v));
    else return limit<mode, -drop, W, S, W2, S2>(v);
}

// The integer nearest below 2^F * d, then the modes; infinities and NaN count as out of range.
template <int W, int I, bool S, quantization Q, overflow O>
inline store_t<W, S> cast_double(double d) {
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &d, sizeof bits);
    const bool negative = bits >> 63;
    int exponent = int(bits >> 52 & 0x7ff);
    int64_t mantissa = int64_t(bits & ((uint64_t(1) << 52) - 1));
    if (exponent == 0 && mantissa == 0) return store_t<W, S>(0);
    if (exponent != 0) mantissa |= int64_t(1) << 52;
    else ++exponent;
    for (; !(mantissa >> 52); --exponent) mantissa <<= 1;  // subnormals
    if (negative) mantissa = -mantissa;
    const int64_t up = exponent - 1075 + (W - I);  // d = mantissa * 2^(up - F), 2^52 <= |mantissa| < 2^53
    if (up < 0) return limit<O, 0, W, S, 54, true>(quantise_by<Q>(mantissa, -up));
    if (O == WRAP)
        return up >= W ? store_t<W, S>(0)
                       : normalise<W, S>(static_cast<modular_t<W, S>>(
                             shifted<W, S>(static_cast<store_t<W, S>>(mantissa), int(up))));
    if (W <= 52 || up >= W) return saturated<O, W, S>(negative);
    return limit<O, 0, W, S, W + 54, true>(shifted<W + 54, true>(store_t<W + 54, true>(mantissa), int(up)));
}

// 2^n as a double, |n| <= 1000.
constexpr double power_of_two(int n) {
    double p = 1;
    for (; n > 0; --n) p *= 2;
    for (; n < 0; ++n) p /= 2;
    return p;
}

// v * 2^-F rounded once to the nearest, ties to even (the result is exact while v has no more bits than Real).
template <class Real, int F, class T>
constexpr Real to_real(const T& v) {
    if constexpr (F >= -1000 && F <= 1000 && sizeof(Real) == sizeof(double)) return Real(v) * power_of_two(-F);
    else return Real(__builtin_ldexp(double(Real(v)), -F));
}
template <class Real, int F, int L>
constexpr Real to_real(const wide<L>& v) {
    const bool negative = v.negative();
    const wide<L> m = negative ? -v : v;
    int top = L - 1;
    while (top > 0 && m.limb[top] == 0) --top;
    if (m.limb[top] == 0) return Real(0);
    const int lead = __builtin_clzll(m.limb[top]);
    uint64_t head = m.limb[top] << lead, rest = 0;
    if (top > 0) {
        if (lead) head |= m.limb[top - 1] >> (64 - lead);
        rest = m.limb[top - 1] << lead;
        for (int i = 0; i < top - 1; ++i) rest |= m.limb[i];
    }
    const Real magnitude = Real(head | (rest != 0));  // the sticky bit makes the one rounding right
    return Real(__builtin_ldexp(double(negative ? -magnitude : magnitude), 64 * top - lead - F));
}

}  // namespace kfixed

#endif
