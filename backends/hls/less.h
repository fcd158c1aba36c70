// a < b by value, whatever the types. The headers of Vivado and Vitis compare a signed with an unsigned number as C does:
// from 32 bits on, a negative one is larger than all others. Their difference is exact, and signed.
#ifndef KBUILD_LESS_H
#define KBUILD_LESS_H

namespace kbuild {

template <class A, class B>
bool less(const A& a, const B& b) {
#pragma HLS INLINE
    return a - b < 0;
}

// Of one type.
template <class T>
bool less(const T& a, const T& b) {
#pragma HLS INLINE
    return a < b;
}

}  // namespace kbuild

#endif
