// Storage of fixed-point values: the smallest native integer that holds W bits, an array of limbs beyond 128 bits.
//
// All stores are kept normalised: a signed store is sign-extended from bit W-1, an unsigned one is zero above bit W-1.
// Only <stdint.h> is included, so that a translation unit compiles in a blink.
#ifndef KFIXED_STORE_H
#define KFIXED_STORE_H

#include <stdint.h>

namespace kfixed {

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

constexpr int max_of(int a, int b) { return a > b ? a : b; }

template <bool B, class T = void>
struct enable_if {};
template <class T>
struct enable_if<true, T> {
    typedef T type;
};
template <bool B, class T = void>
using enable_if_t = typename enable_if<B, T>::type;

template <bool B, class T, class F>
struct choose {
    typedef T type;
};
template <class T, class F>
struct choose<false, T, F> {
    typedef F type;
};

// A two's complement integer of 64 * L bits, little-endian limbs; arithmetic is modulo 2^(64 L).
template <int L>
struct wide {
    uint64_t limb[L];

    wide() = default;
    template <class T>
    constexpr wide(T x) : limb{} {  // any native integer, sign- or zero-extended as its type says
        const uint64_t fill = x < T(0) ? ~uint64_t(0) : 0;
        limb[0] = uint64_t(x);
        for (int i = 1; i < L; ++i) limb[i] = fill;
        if constexpr (sizeof(T) > 8 && L > 1) limb[1] = uint64_t(x >> 64);
    }
    template <int M>
    constexpr wide(const wide<M>& x) : limb{} {
        const uint64_t fill = x.negative() ? ~uint64_t(0) : 0;
        for (int i = 0; i < L; ++i) limb[i] = i < M ? x.limb[i] : fill;
    }
    template <class T>
    constexpr explicit operator T() const {  // the low bits
        if constexpr (sizeof(T) > 8 && L > 1) return T(uint128(limb[1]) << 64 | limb[0]);
        return T(limb[0]);
    }
    constexpr explicit operator bool() const {
        uint64_t any = 0;
        for (int i = 0; i < L; ++i) any |= limb[i];
        return any != 0;
    }
    constexpr bool negative() const { return limb[L - 1] >> 63; }

    constexpr wide operator~() const {
        wide r{};
        for (int i = 0; i < L; ++i) r.limb[i] = ~limb[i];
        return r;
    }
    constexpr wide operator-() const { return ~*this + wide(1); }
    friend constexpr wide operator+(const wide& a, const wide& b) {
        wide r{};
        uint128 carry = 0;
        for (int i = 0; i < L; ++i) {
            carry += uint128(a.limb[i]) + b.limb[i];
            r.limb[i] = uint64_t(carry);
            carry >>= 64;
        }
        return r;
    }
    friend constexpr wide operator-(const wide& a, const wide& b) {
        wide r{};
        uint64_t borrow = 0;
        for (int i = 0; i < L; ++i) {
            const uint128 d = uint128(a.limb[i]) - b.limb[i] - borrow;
            r.limb[i] = uint64_t(d);
            borrow = uint64_t(d >> 64) & 1;
        }
        return r;
    }
    friend constexpr wide operator*(const wide& a, const wide& b) {
        wide r{};
        for (int i = 0; i < L; ++i) {
            uint128 carry = 0;
            for (int j = 0; i + j < L; ++j) {
                carry += uint128(a.limb[i]) * b.limb[j] + r.limb[i + j];
                r.limb[i + j] = uint64_t(carry);
                carry >>= 64;
            }
        }
        return r;
    }
    friend constexpr wide operator&(const wide& a, const wide& b) {
        wide r{};
        for (int i = 0; i < L; ++i) r.limb[i] = a.limb[i] & b.limb[i];
        return r;
    }
    friend constexpr wide operator|(const wide& a, const wide& b) {
        wide r{};
        for (int i = 0; i < L; ++i) r.limb[i] = a.limb[i] | b.limb[i];
        return r;
    }
    friend constexpr wide operator^(const wide& a, const wide& b) {
        wide r{};
        for (int i = 0; i < L; ++i) r.limb[i] = a.limb[i] ^ b.limb[i];
        return r;
    }
    friend constexpr wide operator<<(const wide& a, int n) {  // 0 <= n < 64 L
        wide r{};
        const int step = n / 64, bits = n % 64;
        for (int i = step; i < L; ++i) {
            r.limb[i] = a.limb[i - step] << bits;
            if (bits && i > step) r.limb[i] |= a.limb[i - step - 1] >> (64 - bits);
        }
        return r;
    }
    friend constexpr wide operator>>(const wide& a, int n) {  // arithmetic, 0 <= n < 64 L
        wide r{};
        const int step = n / 64, bits = n % 64;
        const uint64_t fill = a.negative() ? ~uint64_t(0) : 0;
        for (int i = 0; i < L; ++i) {
            const uint64_t low = i + step < L ? a.limb[i + step] : fill;
            const uint64_t high = i + step + 1 < L ? a.limb[i + step + 1] : fill;
            r.limb[i] = bits ? low >> bits | high << (64 - bits) : low;
        }
        return r;
    }
    friend constexpr bool operator==(const wide& a, const wide& b) { return !(a ^ b); }
    friend constexpr bool operator!=(const wide& a, const wide& b) { return bool(a ^ b); }
    friend constexpr bool operator<(const wide& a, const wide& b) {
        if (a.negative() != b.negative()) return a.negative();
        for (int i = L - 1; i > 0; --i)
            if (a.limb[i] != b.limb[i]) return a.limb[i] < b.limb[i];
        return a.limb[0] < b.limb[0];
    }
    friend constexpr bool operator>(const wide& a, const wide& b) { return b < a; }
    friend constexpr bool operator<=(const wide& a, const wide& b) { return !(b < a); }
    friend constexpr bool operator>=(const wide& a, const wide& b) { return !(a < b); }
    constexpr bool operator!() const { return !bool(*this); }
};

// Size in bits of the native container of W bits; 0 where limbs are used.
constexpr int container(int width) {
    return width <= 8 ? 8 : width <= 16 ? 16 : width <= 32 ? 32 : width <= 64 ? 64 : width <= 128 ? 128 : 0;
}

template <int Container, int W, bool S>
struct store_of {  // limbs are signed: an unsigned value has one bit more
    typedef wide<(W + !S + 63) / 64> type;
    typedef type modular;
};
#define KFIXED_STORE(BITS, SIGNED, UNSIGNED) \
    template <int W, bool S>                 \
    struct store_of<BITS, W, S> {            \
        typedef typename choose<S, SIGNED, UNSIGNED>::type type; \
        typedef UNSIGNED modular;            \
    };
KFIXED_STORE(8, int8_t, uint8_t)
KFIXED_STORE(16, int16_t, uint16_t)
KFIXED_STORE(32, int32_t, uint32_t)
KFIXED_STORE(64, int64_t, uint64_t)
KFIXED_STORE(128, int128, uint128)
#undef KFIXED_STORE

// The integer that holds a value of W bits, and the one in which arithmetic modulo 2^W is free of undefined overflow.
template <int W, bool S>
using store_t = typename store_of<container(W), W, S>::type;
template <int W, bool S>
using modular_t = typename store_of<container(W), W, S>::modular;

// Keep the low W bits of x and extend them.
template <int W, bool S>
constexpr store_t<W, S> normalise(modular_t<W, S> x) {
    typedef store_t<W, S> T;
    typedef modular_t<W, S> U;
    constexpr int bits = int(sizeof(T)) * 8;
    if constexpr (bits == W) {
        return T(x);
    } else if constexpr (!S) {
        return T(x & U(U(U(1) << W) - U(1)));
    } else if constexpr (bits == 8 || bits == 64) {  // SIMD units without an arithmetic shift of this size are common
        constexpr U sign = U(U(1) << (W - 1));
        return T(U(U(x & U(U(U(1) << W) - U(1))) ^ sign) - sign);
    } else {
        return T(T(U(x << (bits - W))) >> (bits - W));
    }
}

// x * 2^N modulo the store of W bits.
template <int W, bool S, class T>
constexpr store_t<W, S> shifted(const T& x, int n) {
    typedef modular_t<W, S> U;
    return static_cast<store_t<W, S>>(U(U(x) << n));
}

// The mask of the low n bits, 0 <= n < size of the store.
template <int W, bool S>
constexpr store_t<W, S> low_bits(int n) {
    typedef modular_t<W, S> U;
    return static_cast<store_t<W, S>>(U(U(U(1) << n) - U(1)));
}

}  // namespace kfixed

#endif
