// Fixed-point numbers for C simulation: one class template behind the ap_* names (ap_fixed.h, ap_int.h) and the ac_*
// names (ac_fixed.h, ac_int.h). Written from UG1399 and the ac_datatypes reference, and compared with the vendors' own
// headers over whole small types by tests/backends/test_fixed_headers.py. C++17, g++ or clang.
//
// A number is `v * 2^-(W-I)`, v of W bits. Every cast, product and sum is a few native integer instructions.
// raw() and from_raw() exchange v as int64; limb(i) and set_limb(i, x) do so for any width.
//
// Where the manuals leave room, the vendors' headers are followed:
//   - ap_int converts from floating and fixed point towards zero, ac_int from floating point downwards;
//   - SAT_SYM equals SAT for unsigned types, and one signed bit holds -1 and 0 even there;
//   - shifts by an integer keep the type and drop bits: neither rounding nor saturation applies;
//   - ap_fixed::to_int() rounds towards zero, ac_fixed::to_int() down; ++ adds 1 to ap_fixed, one LSB to ac_fixed;
//   - ap_int += ap_fixed and ac_int += ac_fixed drop the fraction of the right side first.
// Differences from the vendors' headers where their C models depart from their manuals:
//   - comparisons and quotients are by value; ap_private compares signed with unsigned as unsigned from 32 bits on,
//     and narrows the operands of a mixed quotient;
//   - to_int() of a negative fraction with I <= 0 is 0 (towards zero); ap_fixed_base gives -1 or reads garbage;
//   - an integer from a double of magnitude below 1/2 is 0 (ac_int: -1 if negative); ap_int(-0.25) gives 1;
//   - doubles are rounded before the range is checked, as always; SAT_ZERO of ac_fixed<32 n, ...> checks first.
// Infinities and NaN count as values out of range. Beyond 53 bits to_double() rounds once, to the nearest even.
// With KFIXED_STRICT, what the vendor's C model does wrong is refused where kernels could meet it: a cast that rounds away
// more bits than the value has (it stops), an ap_int from a fraction without integer bits, and the comparison of a signed
// with an unsigned fixed-point number from 32 bits on.
// Refused at compile time: division of fractions or of more than 127 bits, AP_WRAP with N > 0 saturated bits,
// AP_WRAP_SM, ap_* mixed with ac_*, arithmetic with float.
#ifndef KFIXED_H
#define KFIXED_H

#include "kfixed_cast.h"

namespace kfixed {

enum flavour { ap_real, ap_integer, ac_real, ac_integer };  // whose rules a type follows
constexpr bool is_ac(flavour f) { return f == ac_real || f == ac_integer; }
constexpr bool is_integer(flavour f) { return f == ap_integer || f == ac_integer; }
constexpr flavour mixed(flavour a, flavour b) { return is_integer(a) ? b : a; }

template <int W, int I, bool S, quantization Q, overflow O, int N, flavour F>
struct num;

// The type of an intermediate result: default modes; ap_int converts from fractions towards zero, as C does.
template <int W, int I, bool S, flavour F>
using plain = num<W, I, S, F == ap_integer ? TRN_ZERO : TRN, WRAP, 0, F>;

// Width and sign of the native integers.
template <class T>
struct native {
    static constexpr bool integer = false, real = false;
};
template <int W, bool S>
struct native_integer {
    static constexpr bool integer = true, real = false, sign = S;
    static constexpr int width = W;
};
#define KFIXED_NATIVE(T) \
    template <>          \
    struct native<T> : native_integer<int(sizeof(T)) * 8, (static_cast<T>(-1) < static_cast<T>(0))> {};
template <>
struct native<bool> : native_integer<1, false> {};
KFIXED_NATIVE(char)
KFIXED_NATIVE(signed char)
KFIXED_NATIVE(unsigned char)
KFIXED_NATIVE(short)
KFIXED_NATIVE(unsigned short)
KFIXED_NATIVE(int)
KFIXED_NATIVE(unsigned)
KFIXED_NATIVE(long)
KFIXED_NATIVE(unsigned long)
KFIXED_NATIVE(long long)
KFIXED_NATIVE(unsigned long long)
#undef KFIXED_NATIVE
struct native_real {
    static constexpr bool integer = false, real = true;
};
template <>
struct native<float> : native_real {};
template <>
struct native<double> : native_real {};

template <class T, flavour F>
using integer_of = plain<native<T>::width, native<T>::width, native<T>::sign, is_ac(F) ? ac_integer : ap_integer>;

// The exact type of a sum, difference, product or bitwise operation.
template <class A, class B>
struct result {
    static_assert(is_ac(A::rules) == is_ac(B::rules), "ap_ and ac_ types do not mix");
    static constexpr flavour rules = mixed(A::rules, B::rules);
    static constexpr bool sign = A::sign || B::sign;
    static constexpr int fraction = max_of(A::fraction, B::fraction);
    static constexpr int integer = max_of(A::iwidth + (sign && !A::sign), B::iwidth + (sign && !B::sign));
    typedef plain<A::width + B::width, A::iwidth + B::iwidth, sign, rules> mul;
    typedef plain<integer + 1 + fraction, integer + 1, sign, rules> add;
    typedef plain<integer + 1 + fraction, integer + 1, true, rules> sub;
    typedef plain<integer + fraction, integer, sign, rules> logic;
};

// The stored integer of x in the (wider) type R, exact.
template <class R, class X>
constexpr typename R::store aligned(const X& x) {
    return shifted<R::width, R::sign>(static_cast<typename R::store>(x.v), R::fraction - X::fraction);
}

// A native integer as a number; a number as it is.
template <flavour F, class T>
constexpr enable_if_t<native<T>::integer, integer_of<T, F>> operand(T x) {
    return integer_of<T, F>(x);
}
template <flavour F, int W, int I, bool S, quantization Q, overflow O, int N, flavour F2>
constexpr const num<W, I, S, Q, O, N, F2>& operand(const num<W, I, S, Q, O, N, F2>& x) {
    return x;
}
// The right side of an in-place operation on an integer loses its fraction first.
template <flavour F, class X>
constexpr auto whole(const X& x) {
    if constexpr (is_integer(F) && X::rules == ac_real)
        return x.to_ac_int();
    else if constexpr (is_integer(F) && X::rules == ap_real)
        return plain<max_of(X::iwidth, 1), max_of(X::iwidth, 1), X::sign, ap_integer>(x);
    else
        return x;
}

template <class X>
struct bit_ref {  // a writable bit
    X& x;
    int index;
    constexpr operator bool() const { return x.get(index); }
    constexpr bit_ref& operator=(bool b) { return x.set(index, b), *this; }
    constexpr bit_ref& operator=(const bit_ref& b) { return *this = bool(b); }
};

template <class X>
struct range_ref {  // bits high..low as an unsigned integer
    static constexpr flavour rules = is_ac(X::rules) ? ac_integer : ap_integer;
    X& x;
    int high, low;
    constexpr int length() const { return high - low + 1; }
    constexpr uint64_t to_uint64() const {
        uint64_t r = 0;
        for (int i = high; i >= low; --i) r = r << 1 | uint64_t(x.get(i));
        return r;
    }
    constexpr auto bits() const {
        plain<X::width, X::width, false, rules> r(0);
        for (int i = low; i <= high; ++i) r.set(i - low, x.get(i));
        return r;
    }
    constexpr unsigned to_uint() const { return unsigned(to_uint64()); }
    constexpr int to_int() const { return int(to_uint64()); }
    constexpr operator uint64_t() const { return to_uint64(); }
    template <class T>
    constexpr range_ref& operator=(const T& value) {
        const plain<max_of(X::width, 64), max_of(X::width, 64), true, rules> from(value);
        for (int i = low; i <= high; ++i) x.set(i, from.get(i - low));
        return *this;
    }
    constexpr range_ref& operator=(const range_ref& other) { return *this = other.bits(); }
};

// Integers of at most 64 bits are usable as an index and in a switch: they have one conversion that is no template.
template <class X, bool Indexes>
struct index {};
template <class X>
struct index<X, true> {
    constexpr operator int64_t() const { return static_cast<const X&>(*this).to_int64(); }
};

template <int W, int I, bool S, quantization Q, overflow O, int N, flavour F>
struct num : index<num<W, I, S, Q, O, N, F>, is_integer(F) && (W <= 63 + S)> {
    static_assert(W >= 1, "a width of at least one bit");
    static_assert(N == 0, "a number of saturated bits in WRAP mode is not supported");
    typedef store_t<W, S> store;
    static constexpr int width = W, iwidth = I, i_width = I, fraction = W - I, limbs = (W + 63) / 64;
    static constexpr bool sign = S;
    static constexpr quantization qmode = Q, q_mode = Q;
    static constexpr overflow omode = O, o_mode = O;
    static constexpr flavour rules = F;

    store v;

    num() = default;  // uninitialised, as a native integer
    template <int W2, int I2, bool S2, quantization Q2, overflow O2, int N2, flavour F2>
    constexpr num(const num<W2, I2, S2, Q2, O2, N2, F2>& x) : v(cast<W, I, S, Q, O, W2, I2, S2>(x.v)) {
        static_assert(is_ac(F) == is_ac(F2), "ap_ and ac_ types do not mix");
        static_assert(!(F == ac_integer && F2 == ac_real), "ac_fixed becomes ac_int by to_ac_int()");
#ifdef KFIXED_STRICT
        static_assert(!(F == ap_integer && F2 == ap_real && I2 <= 0), "the vendor's ap_int takes garbage from this type");
#endif
    }
    template <class T, class = enable_if_t<native<T>::integer>>
    constexpr num(T x)
        : v(cast<W, I, S, Q, O, native<T>::width, native<T>::width, native<T>::sign>(
              static_cast<store_t<native<T>::width, native<T>::sign>>(x))) {}
    template <class X>
    constexpr num(const bit_ref<X>& b) : num(bool(b)) {}
    template <class X>
    constexpr num(const range_ref<X>& r) : num(r.bits()) {}
    num(double x) : v(cast_double<W, I, S, Q, O>(x)) {}
    num(float x) : v(cast_double<W, I, S, Q, O>(x)) {}

    // ---- raw integers ----
    static constexpr num from_store(const store& x) {  // x is normalised
        num r{};
        r.v = x;
        return r;
    }
    static constexpr num from_raw(int64_t x) {  // the low W bits of x, sign-extended beyond 64
        return from_store(normalise<W, S>(static_cast<modular_t<W, S>>(x)));
    }
    constexpr int64_t raw() const {
        static_assert(W - S <= 63, "the value does not fit an int64; use limb()");
        return int64_t(v);
    }
    constexpr uint64_t limb(int i) const {  // bits 64 i .. 64 i + 63, extended by the sign
        if constexpr (W > 128) return v.limb[i];
        else if constexpr (W > 64) return uint64_t(v >> (64 * i));
        else return uint64_t(int64_t(v));
    }
    constexpr void set_limb(int i, uint64_t x) {
        if constexpr (W <= 64) {
            *this = from_raw(int64_t(x));
        } else {
            modular_t<W, S> u = static_cast<modular_t<W, S>>(v);
            if constexpr (W > 128) u.limb[i] = x;
            else u = (u & ~(uint128(~uint64_t(0)) << (64 * i))) | uint128(x) << (64 * i);
            v = normalise<W, S>(u);
        }
    }

    // ---- bits ----
    constexpr bool get(int i) const { return bool(store(store(v >> i) & store(1))); }
    constexpr void set(int i, bool b) {
        typedef modular_t<W, S> U;
        const U one = U(U(1) << i), u = static_cast<U>(v);
        v = normalise<W, S>(b ? U(u | one) : U(u & U(~one)));
    }
    constexpr bool operator[](int i) const { return get(i); }
    constexpr bit_ref<num> operator[](int i) { return {*this, i}; }
    constexpr range_ref<num> range(int high, int low) { return {*this, high, low}; }
    constexpr range_ref<const num> range(int high, int low) const { return {*this, high, low}; }
    constexpr range_ref<num> operator()(int high, int low) { return range(high, low); }
    constexpr range_ref<const num> operator()(int high, int low) const { return range(high, low); }
    constexpr range_ref<num> range() { return range(W - 1, 0); }
    constexpr range_ref<const num> range() const { return range(W - 1, 0); }
    template <int K>
    constexpr plain<K, K, S, ac_integer> slc(int low) const {
        static_assert(is_ac(F), "slc() belongs to the ac_ types; use range()");
        plain<K, K, S, ac_integer> r(0);
        for (int i = 0; i < K; ++i) r.set(i, get(low + i));
        return r;
    }
    template <int K, bool S2>
    constexpr num& set_slc(int low, const plain<K, K, S2, ac_integer>& x) {
        for (int i = 0; i < K; ++i) set(low + i, x.get(i));
        return *this;
    }
    static constexpr int length() { return W; }
    static constexpr int wl() { return W; }
    static constexpr int iwl() { return I; }
    constexpr bool is_neg() const { return S && v < store(0); }
    constexpr bool is_zero() const { return v == store(0); }
    constexpr bool operator!() const { return is_zero(); }

    // ---- conversions ----
    constexpr double to_double() const { return to_real<double, W - I>(v); }
    constexpr float to_float() const { return to_real<float, W - I>(v); }
    constexpr int64_t to_int64() const {  // modulo 2^64
        return cast<64, 64, true, F == ac_real ? TRN : TRN_ZERO, WRAP, W, I, S>(v);
    }
    constexpr uint64_t to_uint64() const { return uint64_t(to_int64()); }
    constexpr int to_int() const { return int(to_int64()); }
    constexpr unsigned to_uint() const { return unsigned(to_int64()); }
    constexpr plain<max_of(I, 1), max_of(I, 1), S, ac_integer> to_ac_int() const {
        static_assert(is_ac(F), "to_ac_int() belongs to the ac_ types");
        constexpr int K = max_of(I, 1);
        return plain<K, K, S, ac_integer>::from_store(cast<K, K, S, TRN, WRAP, W, I, S>(v));
    }
    template <class T, class = enable_if_t<F != ac_real && (native<T>::integer || native<T>::real)>>
    constexpr operator T() const {
        if constexpr (native<T>::real) return to_real<T, W - I>(v);
        else if constexpr (native<T>::width == 1) return !is_zero();
        else return T(to_int64());
    }

    // ---- unary ----
    constexpr num operator+() const { return *this; }
    constexpr auto operator-() const {
        constexpr int more = 1 + (F == ap_integer && S && W == 1);  // -x is 0 - x for ap_int, whose 0 has two bits
        typedef plain<W + more, I + more, true, F> R;
        return R::from_store(typename R::store(-static_cast<typename R::store>(v)));
    }
    constexpr auto operator~() const {
        constexpr int more = is_ac(F) && !S;  // ac_: -x - LSB, always signed; ap_: the type stays
        typedef plain<W + more, I + more, S || is_ac(F), F> R;
        typedef modular_t<R::width, R::sign> U;
        return R::from_store(normalise<R::width, R::sign>(U(~static_cast<U>(v))));
    }

    // ---- in place ----
    template <class B>
    constexpr num& operator+=(const B& b) {
        return accumulate<false>(operand<F>(b));
    }
    template <class B>
    constexpr num& operator-=(const B& b) {
        return accumulate<true>(operand<F>(b));
    }
    template <class B>
    constexpr num& operator*=(const B& b) {
        return *this = *this * whole<F>(operand<F>(b));
    }
    template <class B>
    constexpr num& operator&=(const B& b) {
        return *this = *this & whole<F>(operand<F>(b));
    }
    template <class B>
    constexpr num& operator|=(const B& b) {
        return *this = *this | whole<F>(operand<F>(b));
    }
    template <class B>
    constexpr num& operator^=(const B& b) {
        return *this = *this ^ whole<F>(operand<F>(b));
    }
    template <class B>
    constexpr num& operator<<=(const B& n) {
        return *this = *this << n;
    }
    template <class B>
    constexpr num& operator>>=(const B& n) {
        return *this = *this >> n;
    }
    constexpr num& operator++() { return *this += step(); }
    constexpr num& operator--() { return *this -= step(); }
    constexpr num operator++(int) {
        const num before = *this;
        ++*this;
        return before;
    }
    constexpr num operator--(int) {
        const num before = *this;
        --*this;
        return before;
    }

    // The value shifted by n bits within its own type.
    constexpr num moved(int64_t left) const {
        typedef modular_t<W, S> U;
        if (left >= W) return from_store(store(0));
        if (left <= -W) return from_store(is_neg() ? store(-1) : store(0));
        if (left < 0) return from_store(store(v >> int(-left)));
        return from_store(normalise<W, S>(U(static_cast<U>(v) << int(left))));
    }

   private:
    static constexpr auto step() { return plain<1, is_ac(F) ? I - W + 1 : 1, false, F>::from_store(1); }

    // *this += b or -= b. When the result wraps and its rounding reads no sign, only the low bits matter, and the
    // whole sum is computed modulo 2^(I + fraction): narrow enough to vectorise well.
    template <bool Minus, class B>
    constexpr num& accumulate(const B& term) {
        const auto b = whole<F>(term);
        typedef decltype(whole<F>(term)) T;
        constexpr int f = max_of(fraction, T::fraction), drop = f - fraction, w = I + f;
        if constexpr (O == WRAP && (drop == 0 || Q == TRN || Q == RND || Q == RND_CONV)) {
            typedef modular_t<w, S> U;
            const U x = U(static_cast<U>(v) << drop);
            U y = U(0);
            if constexpr (f - T::fraction < w) y = U(static_cast<U>(b.v) << (f - T::fraction));
            const store_t<w, S> sum = static_cast<store_t<w, S>>(Minus ? U(x - y) : U(x + y));
            if constexpr (drop == 0) v = normalise<W, S>(static_cast<modular_t<W, S>>(sum));
            else v = normalise<W, S>(static_cast<modular_t<W, S>>(quantise<Q, drop, w, S>(sum)));
            return *this;
        } else if constexpr (Minus) {
            return *this = *this - b;
        } else {
            return *this = *this + b;
        }
    }
};

}  // namespace kfixed

#include "kfixed_ops.h"

#endif
