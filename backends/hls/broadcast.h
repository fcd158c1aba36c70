// Element by element over arrays that are broadcast to one shape, at most four axes of it (the emitter joins the axes
// along which every operand behaves alike).
//
// A configuration has `size0 .. size3` and, for every operand that is broadcast, the distance in its array between
// neighbours along each axis: `a0 .. a3`, `b0 .. b3`; the distance is 0 along an axis that is broadcast.
#ifndef KBUILD_BROADCAST_H
#define KBUILD_BROADCAST_H

#define KBUILD_EACH_ROW(C)                             \
    for (int i0 = 0; i0 < C::size0; ++i0)              \
        for (int i1 = 0; i1 < C::size1; ++i1)          \
            for (int i2 = 0; i2 < C::size2; ++i2)
#define KBUILD_EACH(C) KBUILD_EACH_ROW(C) for (int i3 = 0; i3 < C::size3; ++i3)
#define KBUILD_HERE(C) (((i0 * C::size1 + i1) * C::size2 + i2) * C::size3 + i3)
#define KBUILD_A(C) (i0 * C::a0 + i1 * C::a1 + i2 * C::a2 + i3 * C::a3)
#define KBUILD_B(C) (i0 * C::b0 + i1 * C::b1 + i2 * C::b2 + i3 * C::b3)

#endif
