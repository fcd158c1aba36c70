// The integer behind a fixed-point value, and back: by an exact product with a power of two, which costs no logic.
#ifndef KBUILD_INTEGER_H
#define KBUILD_INTEGER_H

// Long straight-line code: it would take a compiler for this machine minutes to optimise what it needs seconds for.
#if defined(__SYNTHESIS__)
#define KBUILD_UNOPTIMIZED
#elif defined(__clang__)
#define KBUILD_UNOPTIMIZED __attribute__((optnone, noinline))
#else
#define KBUILD_UNOPTIMIZED __attribute__((optimize("O0"), noinline))
#endif

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
