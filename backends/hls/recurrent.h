// What the recurrent cells, and loops over steps of other kernels, have in common. The configuration of a cell has the
// struct `input` for the products with the input, `recurrent` for those with the state (both as in dense.h, of one row),
// and one for each activation.
#ifndef KBUILD_RECURRENT_H
#define KBUILD_RECURRENT_H

#include "dense.h"
#include "identity.h"
#include "table.h"

namespace kbuild {

// ---- activations of single values; `kind` of the configuration says which

const int FUNCTION_TABLE = 0, FUNCTION_LINEAR = 1, FUNCTION_RELU = 2;

template <int KIND>
struct function {
    template <class F, class S>
    static typename F::value_t of(const S& s, const typename F::table_t table[F::entries],
                                  const typename F::offset_t offset[1]) {
#pragma HLS INLINE
        return looked_up<F>(s, table, offset);
    }
};

template <>
struct function<FUNCTION_LINEAR> {
    template <class F, class S>
    static typename F::value_t of(const S& s, const typename F::table_t*, const typename F::offset_t*) {
#pragma HLS INLINE
        return s;
    }
};

template <>
struct function<FUNCTION_RELU> {
    template <class F, class S>
    static typename F::value_t of(const S& s, const typename F::table_t*, const typename F::offset_t*) {
#pragma HLS INLINE
        typename F::value_t value = s;
        if (value < 0) value = 0;
        return value;
    }
};

template <class F, class S>
typename F::value_t activated(const S& s, const typename F::table_t table[F::entries],
                              const typename F::offset_t offset[1]) {
#pragma HLS INLINE
    return function<F::kind>::template of<F>(s, table, offset);
}

// ---- steps

// The element of x that is next in the direction of the layer.
template <int STEPS, int FEATURES, int BACKWARDS, class X, class R>
void input_row(const X x[STEPS * FEATURES], R row[FEATURES], int step) {
#pragma HLS INLINE
    const int t = BACKWARDS ? STEPS - 1 - step : step;
    for (int k = 0; k < FEATURES; ++k) {
#pragma HLS UNROLL
        row[k] = x[t * FEATURES + k];
    }
}

// Zeros, the state before the first step.
template <int UNITS, class S>
void clear_state(S state[UNITS]) {
#pragma HLS INLINE
    for (int u = 0; u < UNITS; ++u) {
#pragma HLS UNROLL
        state[u] = 0;
    }
}

// An initial state, cast to the type of the state.
template <int UNITS, class H, class S>
void begin(const H start[UNITS], S state[UNITS]) {
#pragma HLS INLINE
    for (int u = 0; u < UNITS; ++u) {
#pragma HLS UNROLL
        state[u] = cast<S>(start[u]);
    }
}

// A state after a step: in its place of the sequence of KEPT states, or, where KEPT is 1, over the one before.
template <int KEPT, int FLIP, int UNITS, class S, class Y>
void keep(const S state[UNITS], Y y[KEPT * UNITS], int step) {
#pragma HLS INLINE
    const int place = KEPT == 1 ? 0 : FLIP ? KEPT - 1 - step : step;
    for (int u = 0; u < UNITS; ++u) {
#pragma HLS UNROLL
        y[place * UNITS + u] = cast<Y>(state[u]);
    }
}

// One node's share of a computation that several nodes read: the last states of a sequence, or all, perhaps reversed.
template <class C, class S, class Y>
void states(const S kept[C::kept * C::units], Y y[C::returned * C::units]) {
#pragma HLS PIPELINE
    for (int i = 0; i < C::returned; ++i) {
        const int place = C::returned == 1 ? C::kept - 1 : C::flip ? C::kept - 1 - i : i;
        for (int u = 0; u < C::units; ++u) y[i * C::units + u] = cast<Y>(kept[place * C::units + u]);
    }
}

}  // namespace kbuild

#endif
