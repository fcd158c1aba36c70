// Values to and from the caller: 64-bit words, little-endian, as many a value as its type needs, sign-extended.
#ifndef KBUILD_EXCHANGE_H
#define KBUILD_EXCHANGE_H

#include <stdint.h>

namespace kbuild {

template <class T>
void read_words(T* values, int count, const int64_t* words) {
    for (int i = 0; i < count; ++i) {
        if constexpr (T::limbs == 1) {
            values[i] = T::from_raw(words[i]);
        } else {
            values[i] = 0;
            for (int j = 0; j < T::limbs; ++j) values[i].set_limb(j, uint64_t(words[i * T::limbs + j]));
        }
    }
}

template <class T>
void write_words(const T* values, int count, int64_t* words) {
    for (int i = 0; i < count; ++i)
        for (int j = 0; j < T::limbs; ++j) words[i * T::limbs + j] = int64_t(values[i].limb(j));
}

}  // namespace kbuild

#endif
