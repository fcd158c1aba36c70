// Binary operators of kfixed::num, with each other and with native integers; comparisons also with double.
#ifndef KFIXED_OPS_H
#define KFIXED_OPS_H

#include "kfixed.h"

namespace kfixed {

#define KFIXED_A num<W, I, S, Q, O, N, F>
#define KFIXED_B num<W2, I2, S2, Q2, O2, N2, F2>
#define KFIXED_T int W, int I, bool S, quantization Q, overflow O, int N, flavour F
#define KFIXED_T2 KFIXED_T, int W2, int I2, bool S2, quantization Q2, overflow O2, int N2, flavour F2

template <class R, class A, class B>
constexpr R add(const A& a, const B& b) {
    return R::from_store(typename R::store(aligned<R>(a) + aligned<R>(b)));
}
template <class R, class A, class B>
constexpr R sub(const A& a, const B& b) {
    return R::from_store(typename R::store(aligned<R>(a) - aligned<R>(b)));
}
template <class R, class A, class B>
constexpr R mul(const A& a, const B& b) {
    typedef typename R::store T;
    return R::from_store(T(static_cast<T>(a.v) * static_cast<T>(b.v)));
}
template <class R, class A, class B>
constexpr R bit_and(const A& a, const B& b) {
    return R::from_store(typename R::store(aligned<R>(a) & aligned<R>(b)));
}
template <class R, class A, class B>
constexpr R bit_or(const A& a, const B& b) {
    return R::from_store(typename R::store(aligned<R>(a) | aligned<R>(b)));
}
template <class R, class A, class B>
constexpr R bit_xor(const A& a, const B& b) {
    return R::from_store(typename R::store(aligned<R>(a) ^ aligned<R>(b)));
}

#define KFIXED_BINARY(OP, CALL, RESULT)                                                                \
    template <KFIXED_T2>                                                                               \
    constexpr typename result<KFIXED_A, KFIXED_B>::RESULT operator OP(const KFIXED_A& a, const KFIXED_B& b) { \
        return CALL<typename result<KFIXED_A, KFIXED_B>::RESULT>(a, b);                                \
    }                                                                                                  \
    template <KFIXED_T, class T, class = enable_if_t<native<T>::integer>>                              \
    constexpr auto operator OP(const KFIXED_A& a, T b) {                                               \
        return a OP integer_of<T, F>(b);                                                               \
    }                                                                                                  \
    template <class T, KFIXED_T, class = enable_if_t<native<T>::integer>>                              \
    constexpr auto operator OP(T a, const KFIXED_A& b) {                                               \
        return integer_of<T, F>(a) OP b;                                                               \
    }
KFIXED_BINARY(+, add, add)
KFIXED_BINARY(-, sub, sub)
KFIXED_BINARY(*, mul, mul)
KFIXED_BINARY(&, bit_and, logic)
KFIXED_BINARY(|, bit_or, logic)
KFIXED_BINARY(^, bit_xor, logic)
#undef KFIXED_BINARY

// Quotient and remainder of integers, towards zero; native arithmetic only (operands of at most 127 bits).
template <int W, int W2, bool S, bool S2, quantization Q, flavour F>
constexpr auto operator/(const num<W, W, S, Q, WRAP, 0, F>& a, const num<W2, W2, S2, Q, WRAP, 0, F>& b) {
    static_assert(is_integer(F), "division of fixed-point numbers is not supported");
    typedef store_t<max_of(W, W2) + 1, S || S2> T;
    typedef plain<W + S2, W + S2, S || S2, F> R;
    return R(plain<max_of(W, W2) + 1, max_of(W, W2) + 1, S || S2, F>::from_store(T(T(a.v) / T(b.v))));
}
template <int W, int W2, bool S, bool S2, quantization Q, flavour F>
constexpr auto operator%(const num<W, W, S, Q, WRAP, 0, F>& a, const num<W2, W2, S2, Q, WRAP, 0, F>& b) {
    static_assert(is_integer(F), "division of fixed-point numbers is not supported");
    typedef store_t<max_of(W, W2) + 1, S || S2> T;
    constexpr int width = W < W2 + (S && !S2) ? W : W2 + (S && !S2);
    return plain<width, width, S, F>(
        plain<max_of(W, W2) + 1, max_of(W, W2) + 1, S || S2, F>::from_store(T(T(a.v) % T(b.v))));
}
#define KFIXED_DIVIDE(OP)                                                    \
    template <KFIXED_T, class T, class = enable_if_t<native<T>::integer>>    \
    constexpr auto operator OP(const KFIXED_A& a, T b) {                     \
        return a OP integer_of<T, F>(b);                                     \
    }                                                                        \
    template <class T, KFIXED_T, class = enable_if_t<native<T>::integer>>    \
    constexpr auto operator OP(T a, const KFIXED_A& b) {                     \
        return integer_of<T, F>(a) OP b;                                     \
    }
KFIXED_DIVIDE(/)
KFIXED_DIVIDE(%)
#undef KFIXED_DIVIDE

#ifdef KFIXED_STRICT
#define KFIXED_COMPARED(R)                                                     \
    static_assert(S == S2 || R::width < 31 || is_integer(F) || is_integer(F2), \
                  "the vendor's header compares these as unsigned numbers; see less.h");
#else
#define KFIXED_COMPARED(R)
#endif
#define KFIXED_COMPARE(OP)                                                \
    template <KFIXED_T2>                                                  \
    constexpr bool operator OP(const KFIXED_A& a, const KFIXED_B& b) {    \
        typedef typename result<KFIXED_A, KFIXED_B>::logic R;             \
        KFIXED_COMPARED(R)                                                \
        return aligned<R>(a) OP aligned<R>(b);                            \
    }                                                                     \
    template <KFIXED_T, class T>                                          \
    constexpr enable_if_t<native<T>::integer, bool> operator OP(const KFIXED_A& a, T b) { \
        return a OP integer_of<T, F>(b);                                  \
    }                                                                     \
    template <class T, KFIXED_T>                                          \
    constexpr enable_if_t<native<T>::integer, bool> operator OP(T a, const KFIXED_A& b) { \
        return integer_of<T, F>(a) OP b;                                  \
    }                                                                     \
    template <KFIXED_T, class T>                                          \
    constexpr enable_if_t<native<T>::real, bool> operator OP(const KFIXED_A& a, T b) { \
        return a.to_double() OP double(b);                                \
    }                                                                     \
    template <class T, KFIXED_T>                                          \
    constexpr enable_if_t<native<T>::real, bool> operator OP(T a, const KFIXED_A& b) { \
        return double(a) OP b.to_double();                                \
    }
KFIXED_COMPARE(==)
KFIXED_COMPARE(!=)
KFIXED_COMPARE(<)
KFIXED_COMPARE(>)
KFIXED_COMPARE(<=)
KFIXED_COMPARE(>=)
#undef KFIXED_COMPARE
#undef KFIXED_COMPARED

// Shifts keep the type of the left side; a negative distance shifts the other way.
template <KFIXED_T, class T>
constexpr enable_if_t<native<T>::integer, KFIXED_A> operator<<(const KFIXED_A& a, T n) {
    return a.moved(int64_t(n));
}
template <KFIXED_T, class T>
constexpr enable_if_t<native<T>::integer, KFIXED_A> operator>>(const KFIXED_A& a, T n) {
    return a.moved(-int64_t(n));
}
template <KFIXED_T2>
constexpr KFIXED_A operator<<(const KFIXED_A& a, const KFIXED_B& n) {
    return a.moved(n.to_int());
}
template <KFIXED_T2>
constexpr KFIXED_A operator>>(const KFIXED_A& a, const KFIXED_B& n) {
    return a.moved(-int64_t(n.to_int()));
}

#undef KFIXED_A
#undef KFIXED_B
#undef KFIXED_T
#undef KFIXED_T2

}  // namespace kfixed

#endif
