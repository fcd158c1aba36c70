// Division by the standard deviation or the root mean square of each row, by a table of reciprocal square roots.
//
// On the integers q behind a row of n values, w stands for n^2 times its variance plus epsilon (see `wide`), and p is
// the position of the highest bit of w, made even. w is normalised to m = w << lift, 2^top <= m < 4 * 2^top, and
// 1 / sqrt(w) is table[(m - 2^top) >> table_shift] shifted left by half of `lift`, at a constant position of the point.
#ifndef KBUILD_NORMALIZE_H
#define KBUILD_NORMALIZE_H

#include "affine.h"
#include "identity.h"
#include "move.h"
#include "table.h"

namespace kbuild {

const int VARIANCE = 0, MEAN_SQUARE = 1, SUM_SQUARE = 2;

// What stands for epsilon, of any width: words of 32 bits, the highest first.
template <class C>
typename C::square_t epsilon_of(const typename C::word_t epsilon[C::words]) {
#pragma HLS INLINE
    typename C::square_t e = 0;
    for (int i = 0; i < C::words; ++i) {
        e = e << 32;
        e += epsilon[i];
    }
    return e;
}

// The product of every centred value with 1 / sqrt(w), cast to the type of the quotient.
template <class C, class Y>
void divided_by_root(const typename C::centred_t d[C::length], const typename C::square_t& w,
                     Y y[C::rows * C::length], const typename C::table_t table[C::entries], int row) {
#pragma HLS INLINE
    typename C::square_t m = w;
    if (m < 1) m = 1;
    int position = 0;
    for (int bit = 2; bit <= C::top; bit += 2) {
#pragma HLS UNROLL
        if (m[bit] || m[bit + 1]) position = bit;
    }
    const int lift = C::top - position;
    m = m << lift;
    typename C::square_t least = 0;
    least[C::top] = 1;
    const typename C::square_t difference = m - least;
    const typename C::table_t root = table[entry(difference, C::table_shift, C::entries)];
    for (int i = 0; i < C::length; ++i) {
#pragma HLS UNROLL
        typename C::value_t value = d[i] * root;
        value = value << (lift / 2);
        y[row * C::length + i] = cast<Y>(value * unit<typename C::value_unit_t>());
    }
}

template <class C, class X, class Y>
void normalize(const X x[C::rows * C::length], Y y[C::rows * C::length],
               const typename C::table_t table[C::entries], const typename C::word_t epsilon[C::words]) {
    const typename C::square_t e = epsilon_of<C>(epsilon);
    for (int row = 0; row < C::rows; ++row) {
#pragma HLS PIPELINE II=1
        typename C::centred_t d[C::length];
#pragma HLS ARRAY_PARTITION variable=d complete
        typename C::centred_t sum = 0;
        typename C::square_t squares = 0;
        for (int i = 0; i < C::length; ++i) {
            const typename C::integer_t q = x[row * C::length + i] * unit<typename C::unit_t>();
            d[i] = q;
            sum += q;
            squares += q * q;
        }
        typename C::square_t w = squares;
        if (C::statistic != SUM_SQUARE) {
            const typename C::count_t n = C::length;
            w = squares * n;
            if (C::statistic == VARIANCE) w -= sum * sum;
            for (int i = 0; i < C::length; ++i) {
                const typename C::centred_t mean = C::statistic == VARIANCE ? sum : typename C::centred_t(0);
                d[i] = d[i] * n - mean;
            }
        }
        w = w << C::guard;
        if (C::statistic != SUM_SQUARE) w += e;
        else if (w < e) w = e;
        divided_by_root<C>(d, w, y, table, row);
    }
}

}  // namespace kbuild

#endif
