// The integer behind a fixed-point value, and back: by an exact product with a power of two, which costs no logic.
#ifndef KBUILD_INTEGER_H
#define KBUILD_INTEGER_H

namespace kbuild {

// The smallest positive value of U, a type of one unsigned bit: 2^-fraction, for any fraction.
template <class U>
U unit() {
#pragma HLS INLINE
    U u = 0;
    u[0] = 1;
    return u;
}

}  // namespace kbuild

#endif
