// ac_fixed<W,I,S,Q,O> (Algorithmic C Datatypes), over kfixed.h.
#ifndef KFIXED_AC_FIXED_H
#define KFIXED_AC_FIXED_H

#include "ac_int.h"

typedef kfixed::quantization ac_q_mode;
typedef kfixed::overflow ac_o_mode;
constexpr ac_q_mode AC_TRN = kfixed::TRN, AC_TRN_ZERO = kfixed::TRN_ZERO, AC_RND = kfixed::RND,
                    AC_RND_ZERO = kfixed::RND_ZERO, AC_RND_INF = kfixed::RND_INF,
                    AC_RND_MIN_INF = kfixed::RND_MIN_INF, AC_RND_CONV = kfixed::RND_CONV;
constexpr ac_o_mode AC_WRAP = kfixed::WRAP, AC_SAT = kfixed::SAT, AC_SAT_ZERO = kfixed::SAT_ZERO,
                    AC_SAT_SYM = kfixed::SAT_SYM;

template <int W, int I, bool S = true, ac_q_mode Q = AC_TRN, ac_o_mode O = AC_WRAP>
using ac_fixed = kfixed::num<W, I, S, Q, O, 0, kfixed::ac_real>;

#endif
