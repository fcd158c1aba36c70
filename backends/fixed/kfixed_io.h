// Printing of fixed-point numbers; apart from kfixed.h because <ostream> costs more to compile than all of it.
#ifndef KFIXED_IO_H
#define KFIXED_IO_H

#include <ostream>

#include "kfixed.h"

namespace kfixed {

template <int W, int I, bool S, quantization Q, overflow O, int N, flavour F>
std::ostream& operator<<(std::ostream& out, const num<W, I, S, Q, O, N, F>& x) {
    return out << x.to_double();
}

}  // namespace kfixed

#endif
