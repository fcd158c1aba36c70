// ac_int<W,S> (Algorithmic C Datatypes), over kfixed.h.
#ifndef KFIXED_AC_INT_H
#define KFIXED_AC_INT_H

#include "kfixed.h"

template <int W, bool S = true>
using ac_int = kfixed::plain<W, W, S, kfixed::ac_integer>;

#endif
