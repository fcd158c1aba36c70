// Test programs for fixed-point headers: one source for ours and the vendors', and for the ap_ and the ac_ names.
// Stored integers travel on stdin and stdout as little-endian 64-bit limbs, without their sign extension.
// HARNESS_OURS selects kbuild's headers, HARNESS_AC the ac_ names.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef HARNESS_AC
#include "ac_fixed.h"
#else
#include "ap_fixed.h"
#endif

static uint64_t word() {
    uint64_t x;
    if (fread(&x, sizeof x, 1, stdin) != 1) exit(3);
    return x;
}
static void put(uint64_t x) { fwrite(&x, sizeof x, 1, stdout); }
static double number() {
    const uint64_t x = word();
    double d;
    __builtin_memcpy(&d, &x, sizeof d);
    return d;
}
static void put_real(double d) {
    uint64_t x;
    __builtin_memcpy(&x, &d, sizeof d);
    put(x);
}

// Limb I of a value of W bits, for the three ways of reaching the bits.
#if defined(HARNESS_OURS)
template <class T, int I>
void set(T& x, uint64_t w) { x.set_limb(I, w); }
template <class T, int I>
uint64_t get(T& x) {
    const int bits = T::width - 64 * I;
    return bits < 64 ? x.limb(I) & ((uint64_t(1) << bits) - 1) : x.limb(I);
}
template <class T>
int sign_of(const T&) { return T::sign; }
#elif defined(HARNESS_AC)
template <class T, int I>
void set(T& x, uint64_t w) {
    const int bits = T::width - 64 * I < 64 ? T::width - 64 * I : 64;
    x.set_slc(64 * I, ac_int<bits, false>(w));
}
template <class T, int I>
uint64_t get(T& x) {
    const int bits = T::width - 64 * I < 64 ? T::width - 64 * I : 64;
    return ac_int<bits, false>(x.template slc<bits>(64 * I)).to_uint64();
}
template <class T>
int sign_of(const T&) { return T::sign; }
#else
template <class T, int I>
void set(T& x, uint64_t w) {
    const int high = T::width - 1 < 64 * I + 63 ? T::width - 1 : 64 * I + 63;
    x.range(high, 64 * I) = ap_uint<64>(w);
}
template <class T, int I>
uint64_t get(T& x) {
    const int high = T::width - 1 < 64 * I + 63 ? T::width - 1 : 64 * I + 63;
    return x.range(high, 64 * I).to_uint64();
}
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int N>
int sign_of(const ap_fixed_base<W, I, S, Q, O, N>&) { return S; }
template <int W, bool S>
int sign_of(const ap_int_base<W, S>&) { return S; }
#endif

template <class T, int I = 0>
void read_into(T& x) {
    if constexpr (64 * I < T::width) {
        set<T, I>(x, word());
        read_into<T, I + 1>(x);
    }
}
template <class T, int I = 0>
void write_from(T& x) {
    if constexpr (64 * I < T::width) {
        put(get<T, I>(x));
        write_from<T, I + 1>(x);
    }
}
template <class T>
T in() {
    T x = 0;
    read_into(x);
    return x;
}
template <class T>
void out(T x) {  // a result of its own exact type: its width, signedness, bits
    put(T::width);
    put(sign_of(x));
    write_from(x);
}

template <class From, class To>
void casts() {
    for (uint64_t n = word(); n; --n) {
        To y = in<From>();
        write_from(y);
    }
}

template <class To>
void from_doubles() {
    for (uint64_t n = word(); n; --n) {
        To y = number();
        write_from(y);
    }
}

template <class T>
void conversions() {
    for (uint64_t n = word(); n; --n) {
        T x = in<T>();
        put_real(x.to_double());
        put(uint64_t(x.to_int64()));
        put(uint32_t(x.to_int()));
        put(uint32_t(x.to_uint()));
        put(!x);
        put(x[T::width / 2] ? 1 : 0);
    }
}

template <class A, class B>
void relate(const A& a, const B& b) {
    put((a == b) | (a != b) << 1 | (a < b) << 2 | (a > b) << 3 | (a <= b) << 4 | (a >= b) << 5);
}

template <class A, class B>
void relations() {
    for (uint64_t n = word(); n; --n) {
        const A a = in<A>();
        const B b = in<B>();
        relate(a, b);
    }
}

template <class A, class B>
void binary() {
    for (uint64_t n = word(); n; --n) {
        const A a = in<A>();
        const B b = in<B>();
        out(a + b);
        out(a - b);
        out(a * b);
        out(a & b);
        out(a | b);
        out(a ^ b);
        out(-a);
        out(~a);
    }
}

template <class A, class B>
void divide() {
    for (uint64_t n = word(); n; --n) {
        const A a = in<A>();
        const B b = in<B>();
        out(a / b);
        out(a % b);
    }
}

template <class A, class B>
void in_place() {
    for (uint64_t n = word(); n; --n) {
        const A a = in<A>();
        const B b = in<B>();
        A x = a;
        x += b;
        write_from(x);
        x = a;
        x -= b;
        write_from(x);
        x = a;
        x *= b;
        write_from(x);
        x = a;
        x += a * b;
        write_from(x);
        x = a;
        x -= b * b;
        write_from(x);
        x = a;
        ++x;
        write_from(x);
        x = a;
        x--;
        write_from(x);
    }
}

template <class A, class C>
void native_relations() {
    for (uint64_t n = word(); n; --n) {
        const A a = in<A>();
        const C c = C(word());
        relate(a, c);
        relate(c, a);
    }
}

template <class A>
void shifts() {
    for (uint64_t n = word(); n; --n) {
        const A a = in<A>();
        const int distance = int(int64_t(word()));
        A x = a << distance;
        write_from(x);
        x = a >> distance;
        write_from(x);
        if (distance >= 0) {
            x = a << unsigned(distance);
            write_from(x);
            x = a >> unsigned(distance);
            write_from(x);
        }
        x = a;
        x <<= distance;
        write_from(x);
        x = a;
        x >>= distance;
        write_from(x);
    }
}

template <class A, class C>
void with_native() {
    for (uint64_t n = word(); n; --n) {
        const A a = in<A>();
        const C c = C(word());
        out(a + c);
        out(c - a);
        out(a * c);
        A x = c;
        write_from(x);
        x = a;
        x += c;
        write_from(x);
    }
}
