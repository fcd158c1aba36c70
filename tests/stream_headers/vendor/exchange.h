// ../ours/exchange.h for the vendors' types, of values that fit into one word.
#ifndef KBUILD_EXCHANGE_H
#define KBUILD_EXCHANGE_H

#include <stdint.h>

#include "ap_int.h"

namespace kbuild {

template <class U>
U power() {
    U u = 0;
    u[0] = 1;
    return u;
}

template <class T>
void read_words(T* values, int count, const int64_t* words) {
    for (int i = 0; i < count; ++i)
        values[i] = ap_int<64>(words[i]) * power<ap_ufixed<1, 1 - (T::width - T::iwidth)> >();
}

template <int W>
void read_words(ap_int<W>* values, int count, const int64_t* words) {
    for (int i = 0; i < count; ++i) values[i] = words[i];
}

template <int W>
void read_words(ap_uint<W>* values, int count, const int64_t* words) {
    for (int i = 0; i < count; ++i) values[i] = words[i];
}

template <class T>
void write_words(const T* values, int count, int64_t* words) {
    for (int i = 0; i < count; ++i) {
        const ap_int<64> q = values[i] * power<ap_ufixed<1, 1 + (T::width - T::iwidth)> >();
        words[i] = q.to_int64();
    }
}

}  // namespace kbuild

#endif
