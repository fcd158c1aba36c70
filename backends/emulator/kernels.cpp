// Sums of products of the emulator, compiled for the processor at hand. The definition is NumPy's, in kbuild/ops; what
// may be computed here, and in which parts sums stay within 32 bits, is decided in kbuild/native.
//
// Operands have 16 bits and lie in pairs of terms, which x86 multiplies and adds in one instruction. A vector has the
// sums of V lanes; a tile has ROWS x C vectors, for each of which the row's pair of terms is the same in all lanes:
//
//   rows      rows are positions of windows, lanes are outputs        dense layers and convolutions
//   columns   rows are outputs, lanes are samples                     the same for a sample in each column
//   channels  lanes are channels, each with inputs of its own         depthwise convolutions; single terms, no pairs
//
// A segment is a range of terms whose partial sums fit 32 bits in whatever order; it is then added to 64 bits. There may
// be several segments for the same terms: one for each digit of the weights.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define UNROLLED _Pragma("GCC unroll 16")  // before GCC decides what stays in registers

namespace {

enum Kind : int64_t { EXACT, FLOOR_HIGH, ROUND_HIGH, ROUNDED };
enum Overflow : int64_t { NONE, WRAP, SAT, SAT_ZERO };
enum Problem : int64_t { FINE, OUT_OF_RANGE, NO_MEMORY };

constexpr int64_t BLOCK = 1 << 16;  // 16-bit inputs that are packed at a time: they stay in the cache
constexpr int64_t COLUMNS = 256;    // the same for `columns`: samples
constexpr int64_t SLACK = 64;       // elements behind the packed inputs that may be read, and count for nothing

}  // namespace

// As kbuild/native/plan.py has them: every field is 64 bits.
struct Segment {
    int64_t begin, end;  // taps
    int64_t lanes;       // where the lanes' operands of the first tap are
    int64_t rows;        // what is added to where the rows' operands are
    int64_t kind, shift;
};

// quantize: (q + added + ((q >> sign) & mask)) >> shift, which any mode is; a negative shift multiplies.
struct Rounding {
    int64_t shift, added, sign, mask;
};

struct Limit {
    int64_t overflow, low, high, floor;
};

struct Plan {
    int64_t segment_count;
    const Segment* segments;
    const int32_t* taps;     // where a tap's operands are, from the first of the row
    const int16_t* weights;  // [groups][digits][taps][lanes][2] in `rows`
    const int64_t* start;    // [groups][lanes]
    int64_t outputs, lanes;  // of a group; lanes are outputs and what fills up vectors
    int64_t groups, group_inputs, group_weights;
    int64_t low, high, centre;              // of the inputs; what is taken from them to make them 16 bits
    int64_t inputs, packed, repeat;         // elements of a sample before and after packing; copies of each element
    int64_t run_count;                      // runs of elements that are neighbours before and after
    const int64_t* runs;                    // (from, to, length)
    int64_t positions;
    const int32_t* base;  // where the window of each position begins
    Rounding product, cast;
    Limit accum, result;
};

namespace {

template <int V>
struct Vector {
    typedef int32_t type __attribute__((vector_size(V * 4)));
    typedef uint32_t bits __attribute__((vector_size(V * 4)));
};
typedef int32_t Eight __attribute__((vector_size(32)));
typedef int64_t WideEight __attribute__((vector_size(64)));

template <class T>
inline T load(const void* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <int V>
inline typename Vector<V>::type splat(int32_t value) {
    return value - typename Vector<V>::type{};
}

template <int V>
inline typename Vector<V>::type even(typename Vector<V>::type pairs) {
    return (typename Vector<V>::type)((typename Vector<V>::bits)pairs << 16) >> 16;
}

template <int V>
inline typename Vector<V>::type odd(typename Vector<V>::type pairs) {
    return pairs >> 16;
}

// Sums of two products each, of the pairs of 16-bit numbers in the lanes.
template <int V>
inline typename Vector<V>::type dot(typename Vector<V>::type sum, typename Vector<V>::type a,
                                    typename Vector<V>::type b) {
    return sum + even<V>(a) * even<V>(b) + odd<V>(a) * odd<V>(b);
}

// (a * b) >> 16 of each pair, added up.
template <int V>
inline typename Vector<V>::type floor_high(typename Vector<V>::type sum, typename Vector<V>::type a,
                                           typename Vector<V>::type b) {
    return sum + ((even<V>(a) * even<V>(b)) >> 16) + ((odd<V>(a) * odd<V>(b)) >> 16);
}

// (a * b + 2^14) >> 15 of each pair, added up.
template <int V>
inline typename Vector<V>::type round_high(typename Vector<V>::type sum, typename Vector<V>::type a,
                                           typename Vector<V>::type b) {
    return sum + ((even<V>(a) * even<V>(b) + 0x4000) >> 15) + ((odd<V>(a) * odd<V>(b) + 0x4000) >> 15);
}

#if defined(__AVX512BW__)
typedef Vector<16>::type V16;
template <>
inline V16 dot<16>(V16 sum, V16 a, V16 b) {
#if defined(__AVX512VNNI__)
    return (V16)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#else
    return sum + (V16)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#endif
}
template <>
inline V16 floor_high<16>(V16 sum, V16 a, V16 b) {
    return dot<16>(sum, (V16)_mm512_mulhi_epi16((__m512i)a, (__m512i)b), splat<16>(0x10001));
}
template <>
inline V16 round_high<16>(V16 sum, V16 a, V16 b) {
    return dot<16>(sum, (V16)_mm512_mulhrs_epi16((__m512i)a, (__m512i)b), splat<16>(0x10001));
}
constexpr int WIDE = 16, ROWS = 8;
#else
constexpr int WIDE = 8, ROWS = 4;
#endif

#if defined(__AVX2__)
typedef Vector<8>::type V8;
template <>
inline V8 dot<8>(V8 sum, V8 a, V8 b) {
    return sum + (V8)_mm256_madd_epi16((__m256i)a, (__m256i)b);
}
template <>
inline V8 floor_high<8>(V8 sum, V8 a, V8 b) {
    return dot<8>(sum, (V8)_mm256_mulhi_epi16((__m256i)a, (__m256i)b), splat<8>(0x10001));
}
template <>
inline V8 round_high<8>(V8 sum, V8 a, V8 b) {
    return dot<8>(sum, (V8)_mm256_mulhrs_epi16((__m256i)a, (__m256i)b), splat<8>(0x10001));
}
#endif

template <class T>
inline T rounded(T product, const Rounding& by) {
    return (product + (int32_t)by.added + ((product >> (int)by.sign) & (int32_t)by.mask)) >> (int)by.shift;
}

// The sums of a tile, row by row.
template <int V, int C>
struct Tile {
    int64_t sums[ROWS][C * V];

    // Spelled out in vectors, which compilers do not find here by themselves.
    static void add(int64_t* to, typename Vector<V>::type part, int64_t shift) {
        Eight eights[V / 8];
        std::memcpy(eights, &part, sizeof part);
        UNROLLED for (int n = 0; n < V / 8; ++n, to += 8) {
            const WideEight sum = load<WideEight>(to) + (__builtin_convertvector(eights[n], WideEight) << shift);
            std::memcpy(to, &sum, sizeof sum);
        }
    }

    template <class Multiply>
    void pairs(const Plan& plan, const Segment& of, const int16_t* const (&rows)[ROWS], const int16_t* lanes,
               int64_t stride, Multiply multiply) {
        typedef typename Vector<V>::type I;
        I part[ROWS][C] = {};
        const int16_t* from[ROWS];
        for (int r = 0; r < ROWS; ++r) from[r] = rows[r] + of.rows;
        const int32_t *taps = plan.taps + of.begin, *last = plan.taps + of.end;
        for (stride *= 2; taps != last; ++taps, lanes += stride) {
            I w[C];
            for (int c = 0; c < C; ++c) w[c] = load<I>(lanes + c * V * 2);
            const int64_t tap = *taps;
            UNROLLED for (int r = 0; r < ROWS; ++r) {
                const I x = splat<V>(load<int32_t>(from[r] + tap));
                UNROLLED for (int c = 0; c < C; ++c) part[r][c] = multiply(part[r][c], x, w[c]);
            }
        }
        UNROLLED for (int r = 0; r < ROWS; ++r)
            UNROLLED for (int c = 0; c < C; ++c) add(sums[r] + c * V, part[r][c], of.shift);
    }

    // Rows' operands at rows[r] and lanes' at `lanes`, `stride` pairs a tap.
    void add_segment(const Plan& plan, const Segment& of, const int16_t* const (&rows)[ROWS], const int16_t* lanes,
                     int64_t stride) {
        typedef typename Vector<V>::type I;
        switch (of.kind) {
            case EXACT: return pairs(plan, of, rows, lanes, stride, dot<V>);
            case FLOOR_HIGH: return pairs(plan, of, rows, lanes, stride, floor_high<V>);
            case ROUND_HIGH: return pairs(plan, of, rows, lanes, stride, round_high<V>);
            default: {
                const Rounding by = plan.product;
                return pairs(plan, of, rows, lanes, stride, [by](I sum, I a, I b) {
                    return sum + rounded(even<V>(a) * even<V>(b), by) + rounded(odd<V>(a) * odd<V>(b), by);
                });
            }
        }
    }

    void add_channels(const Plan& plan, const Segment& of, const int16_t* const (&rows)[ROWS], const int16_t* lanes) {
        int32_t part[ROWS][C * V] = {};
        const Rounding by = plan.product;
        for (int64_t k = of.begin; k < of.end; ++k, lanes += plan.lanes) {
            for (int r = 0; r < ROWS; ++r) {
                const int16_t* x = rows[r] + plan.taps[k];
                if (of.kind == EXACT)
                    for (int n = 0; n < C * V; ++n) part[r][n] += (int32_t)x[n] * lanes[n];
                else
                    for (int n = 0; n < C * V; ++n) part[r][n] += rounded((int32_t)x[n] * lanes[n], by);
            }
        }
        for (int r = 0; r < ROWS; ++r)
            for (int c = 0; c < C; ++c) add(sums[r] + c * V, load<typename Vector<V>::type>(part[r] + c * V), of.shift);
    }
};

int64_t limited(int64_t* q, int64_t count, const Limit& to) {
    int64_t changed = 0;
    const int64_t low = to.low, high = to.high, floor = to.floor;
    switch (to.overflow) {
        case WRAP: {
            const uint64_t mask = (uint64_t)high - (uint64_t)low;
            for (int64_t i = 0; i < count; ++i) {
                const int64_t inside = (int64_t)((((uint64_t)q[i] - (uint64_t)low) & mask) + (uint64_t)low);
                changed += inside != q[i];
                q[i] = inside;
            }
            break;
        }
        case SAT:
            for (int64_t i = 0; i < count; ++i) {
                const int64_t inside = std::min(std::max(q[i], floor), high);
                changed += inside != q[i];
                q[i] = inside;
            }
            break;
        case SAT_ZERO:
            for (int64_t i = 0; i < count; ++i) {
                const int64_t inside = q[i] < low || q[i] > high ? 0 : q[i];
                changed += inside != q[i];
                q[i] = inside;
            }
            break;
        default: break;
    }
    return changed;
}

// How many sums left the accumulator's type, and how many the result's.
struct Overflows {
    int64_t inside = 0, results = 0;
    Overflows& operator+=(const Overflows& more) {
        inside += more.inside;
        results += more.results;
        return *this;
    }
};

// Sums become integers of the result.
Overflows finish(const Plan& plan, int64_t* q, int64_t count) {
    Overflows changed;
    changed.inside = limited(q, count, plan.accum);
    const Rounding& by = plan.cast;
    if (by.shift > 0) {
        const int64_t shift = by.shift, added = by.added, sign = by.sign, mask = by.mask;
        if (mask == 0)
            for (int64_t i = 0; i < count; ++i) q[i] = (q[i] + added) >> shift;
        else
            for (int64_t i = 0; i < count; ++i) q[i] = (q[i] + added + ((q[i] >> sign) & mask)) >> shift;
    } else if (by.shift < 0) {
        for (int64_t i = 0; i < count; ++i) q[i] = (int64_t)((uint64_t)q[i] << -by.shift);
    }
    changed.results = limited(q, count, plan.result);
    return changed;
}

// One row of a block after the other: `low` and `high` collect whether one is outside its type.
struct Ends {
    int64_t low = 0, high = 0;
    bool inside(const Plan& plan) const { return low >= plan.low && high <= plan.high; }
};

void pack(const Plan& plan, const int64_t* x, int16_t* to, Ends& ends) {
    for (int64_t i = 0; i < plan.run_count; ++i) {
        const int64_t* from = x + plan.runs[3 * i];
        int16_t* into = to + plan.runs[3 * i + 1];
        const int64_t length = plan.runs[3 * i + 2], centre = plan.centre;
        int64_t low = ends.low, high = ends.high;
        for (int64_t k = 0; k < length; ++k) {
            low = std::min(low, from[k]);
            high = std::max(high, from[k]);
        }
        ends.low = low;
        ends.high = high;
        if (plan.repeat == 1)
            for (int64_t k = 0; k < length; ++k) into[k] = (int16_t)(from[k] - centre);
        else
            for (int64_t k = 0; k < length * plan.repeat; ++k) into[k] = (int16_t)(from[k / plan.repeat] - centre);
    }
}

// Packed inputs of some samples, and the windows in them.
struct Block {
    const int16_t* x;
    const int32_t* base;
    int64_t rows;
    int64_t* y;
};

template <int V, int C>
Overflows lanes_of(const Plan& plan, const Block& block, int64_t group, int64_t n, bool channels) {
    Overflows changed;
    Tile<V, C> tile;
    const int64_t width = plan.outputs * plan.groups, count = std::min<int64_t>(C * V, plan.outputs - n);
    const int16_t* x = block.x + group * plan.group_inputs + (channels ? n : 0);
    const int16_t* weights = plan.weights + group * plan.group_weights + n * (channels ? 1 : 2);
    const int64_t* start = plan.start + group * plan.lanes + n;
    for (int64_t first = 0; first < block.rows; first += ROWS) {
        const int64_t valid = std::min<int64_t>(ROWS, block.rows - first);
        const int16_t* rows[ROWS];
        for (int r = 0; r < ROWS; ++r) {
            rows[r] = x + block.base[first + std::min<int64_t>(r, valid - 1)];
            std::memcpy(tile.sums[r], start, sizeof tile.sums[r]);
        }
        for (int64_t s = 0; s < plan.segment_count; ++s) {
            const Segment& of = plan.segments[s];
            if (channels)
                tile.add_channels(plan, of, rows, weights + of.lanes);
            else
                tile.add_segment(plan, of, rows, weights + of.lanes, plan.lanes);
        }
        changed += finish(plan, tile.sums[0], valid * C * V);
        int64_t* y = block.y + first * width + group * plan.outputs + n;
        for (int64_t r = 0; r < valid; ++r, y += width) std::memcpy(y, tile.sums[r], count * sizeof *y);
    }
    return changed;
}

Overflows all_lanes(const Plan& plan, const Block& block, bool channels) {
    Overflows changed;
    for (int64_t group = 0; group < plan.groups; ++group)
        for (int64_t n = 0; n < plan.lanes;) {
            const int64_t left = plan.lanes - n;
            if (left >= 2 * WIDE) {
                changed += lanes_of<WIDE, 2>(plan, block, group, n, channels);
                n += 2 * WIDE;
            } else if (left >= WIDE) {
                changed += lanes_of<WIDE, 1>(plan, block, group, n, channels);
                n += WIDE;
            } else {
                changed += lanes_of<8, 1>(plan, block, group, n, channels);
                n += 8;
            }
        }
    return changed;
}

int64_t by_rows(const Plan& plan, const int64_t* x, int64_t samples, int64_t* y, Overflows* overflows, bool channels) {
    const int64_t most = std::max<int64_t>(std::min(BLOCK / std::max<int64_t>(plan.packed, 1), samples), 1);
    std::vector<int16_t> packed(most * plan.packed + SLACK, (int16_t)-plan.centre);
    std::vector<int32_t> base(most * plan.positions);
    for (int64_t i = 0; i < most; ++i)
        for (int64_t p = 0; p < plan.positions; ++p)
            base[i * plan.positions + p] = (int32_t)(plan.base[p] + i * plan.packed);
    Ends ends;
    for (int64_t first = 0; first < samples; first += most) {
        const int64_t count = std::min(most, samples - first);
        for (int64_t i = 0; i < count; ++i)
            pack(plan, x + (first + i) * plan.inputs, packed.data() + i * plan.packed, ends);
        if (!ends.inside(plan)) return OUT_OF_RANGE;
        const int64_t width = plan.positions * plan.outputs * plan.groups;
        const Block block{packed.data(), base.data(), count * plan.positions, y + first * width};
        *overflows += all_lanes(plan, block, channels);
    }
    return FINE;
}

// Columns [K, count] of x [K, width] as pairs [K / 2][COLUMNS][2].
void pack_columns(const Plan& plan, const int64_t* x, int64_t width, int64_t count, int16_t* to, Ends& ends) {
    const int64_t centre = plan.centre;
    for (int64_t k = 0; k < plan.inputs; ++k) {
        const int64_t* from = x + k * width;
        int16_t* into = to + (k / 2) * COLUMNS * 2 + k % 2;
        int64_t low = ends.low, high = ends.high;
        for (int64_t i = 0; i < count; ++i) {
            low = std::min(low, from[i]);
            high = std::max(high, from[i]);
            into[2 * i] = (int16_t)(from[i] - centre);
        }
        ends.low = low;
        ends.high = high;
    }
}

template <int V, int C>
Overflows column_tiles(const Plan& plan, const int16_t* x, int64_t count, int64_t* y, int64_t width) {
    Overflows changed;
    Tile<V, C> tile;
    for (int64_t first = 0; first < plan.outputs; first += ROWS) {
        const int64_t valid = std::min<int64_t>(ROWS, plan.outputs - first);
        const int16_t* rows[ROWS];
        for (int r = 0; r < ROWS; ++r) {
            const int64_t n = first + std::min<int64_t>(r, valid - 1);
            rows[r] = plan.weights + plan.base[n];
            std::fill_n(tile.sums[r], C * V, plan.start[n]);
        }
        for (int64_t s = 0; s < plan.segment_count; ++s) {
            const Segment& of = plan.segments[s];
            tile.add_segment(plan, of, rows, x + of.begin * COLUMNS * 2, COLUMNS);
        }
        if (count < C * V)  // what fills up the last vector is nothing that overflows
            for (int64_t r = 0; r < valid; ++r) std::fill(tile.sums[r] + count, tile.sums[r] + C * V, 0);
        changed += finish(plan, tile.sums[0], valid * C * V);
        for (int64_t r = 0; r < valid; ++r)
            std::memcpy(y + (first + r) * width, tile.sums[r], std::min<int64_t>(count, C * V) * sizeof *y);
    }
    return changed;
}

int64_t by_columns(const Plan& plan, const int64_t* x, int64_t width, int64_t batches, int64_t* y,
                   Overflows* overflows) {
    std::vector<int16_t> packed((plan.inputs + 1) / 2 * COLUMNS * 2);
    Ends ends;
    for (int64_t batch = 0; batch < batches; ++batch, x += plan.inputs * width, y += plan.outputs * width)
        for (int64_t first = 0; first < width; first += COLUMNS) {
            const int64_t count = std::min(COLUMNS, width - first);
            pack_columns(plan, x + first, width, count, packed.data(), ends);
            if (!ends.inside(plan)) return OUT_OF_RANGE;
            for (int64_t m = 0; m < count; m += 2 * WIDE)
                *overflows += column_tiles<WIDE, 2>(plan, packed.data() + m * 2, count - m, y + first + m, width);
        }
    return FINE;
}

template <class F>
int64_t guarded(F&& run) {
    try {
        return run();
    } catch (const std::bad_alloc&) {
        return NO_MEMORY;
    }
}

}  // namespace

// x [samples, plan.inputs] -> y [samples, positions, groups * outputs]
extern "C" int64_t kbuild_rows(const Plan* plan, const int64_t* x, int64_t samples, int64_t* y, Overflows* overflows) {
    return guarded([=] { return by_rows(*plan, x, samples, y, overflows, false); });
}

extern "C" int64_t kbuild_channels(const Plan* plan, const int64_t* x, int64_t samples, int64_t* y,
                                   Overflows* overflows) {
    return guarded([=] { return by_rows(*plan, x, samples, y, overflows, true); });
}

// x [batches, plan.inputs, width] -> y [batches, outputs, width]
extern "C" int64_t kbuild_columns(const Plan* plan, const int64_t* x, int64_t width, int64_t batches, int64_t* y,
                                  Overflows* overflows) {
    return guarded([=] { return by_columns(*plan, x, width, batches, y, overflows); });
}
