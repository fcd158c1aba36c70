// Streams batches through the Verilated design, one sample a cycle. Compiled together with `ports.h`, which is
// generated and lists the ports of the wrapper `kbuild_rtl`.
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "Vkbuild_rtl.h"
#include "verilated.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Verilator's ports are read as little-endian bits");

namespace {

// A port with `elements` integers of `width` bits. `cycle` is when its value for the inputs of cycle 0 is there,
// or -1 when `out_valid` says so.
struct Port {
    void* bits;
    std::size_t bytes;
    std::int64_t elements;
    int width;
    bool is_signed;
    std::int64_t cycle;
};

#include "ports.h"

using Words = std::vector<std::uint64_t>;

// Integers are 64-bit words, little-endian and sign-extended: (width + 63) / 64 words each, as in the C simulation.
std::int64_t limbs(const Port& port) { return (port.width + 63) / 64; }

void put(const Port& port, const std::int64_t* values, Words& buffer) {
    buffer.assign(port.bytes / 8 + 3, 0);
    std::int64_t at = 0;
    for (std::int64_t i = 0; i < port.elements; ++i) {
        for (int done = 0; done < port.width; done += 64) {
            const int count = port.width - done < 64 ? port.width - done : 64;
            const std::uint64_t mask = count == 64 ? ~0ull : (1ull << count) - 1;
            const std::uint64_t value = static_cast<std::uint64_t>(*values++) & mask;
            buffer[at / 64] |= value << (at % 64);
            if (at % 64 != 0) buffer[at / 64 + 1] |= value >> (64 - at % 64);
            at += count;
        }
    }
    std::memcpy(port.bits, buffer.data(), port.bytes);
}

void get(const Port& port, std::int64_t* values, Words& buffer) {
    buffer.assign(port.bytes / 8 + 3, 0);
    std::memcpy(buffer.data(), port.bits, port.bytes);
    std::int64_t at = 0;
    for (std::int64_t i = 0; i < port.elements; ++i) {
        for (int done = 0; done < port.width; done += 64) {
            const int count = port.width - done < 64 ? port.width - done : 64;
            std::uint64_t value = buffer[at / 64] >> (at % 64);
            if (at % 64 != 0) value |= buffer[at / 64 + 1] << (64 - at % 64);
            if (count < 64) {
                value &= (1ull << count) - 1;
                if (port.is_signed && (value >> (count - 1) & 1)) value |= ~0ull << count;
            }
            *values++ = static_cast<std::int64_t>(value);
            at += count;
        }
    }
}

void tick(Vkbuild_rtl& top) {
    top.clk = 1;
    top.eval();
    top.clk = 0;
    top.eval();
}

}  // namespace

// Run `samples` samples. inputs[i] and outputs[i] (null: not wanted) are [samples, elements, limbs]. Returns the
// number of samples that came out marked valid; `first` and `last` are the cycles, counted from the cycle of the
// first input, after which the first and the last of them came.
extern "C" std::int64_t kbuild_rtl_run(const std::int64_t* const* inputs, std::int64_t* const* outputs,
                                       std::int64_t samples, std::int64_t* first, std::int64_t* last) {
    const auto context = std::make_unique<VerilatedContext>();
    const auto top = std::make_unique<Vkbuild_rtl>(context.get(), "top");
    const std::vector<Port> in = input_ports(*top), out = output_ports(*top);
    Words buffer;
    top->clk = 0;
    top->in_valid = 1;
    top->rst = 1;
    for (int i = 0; i < 2; ++i) tick(*top);
    top->rst = 0;
    std::int64_t valid = 0;
    for (std::int64_t t = 0; t < samples + kLatency + 2; ++t) {
        top->in_valid = t < samples;
        if (t < samples) {
            for (std::size_t i = 0; i < in.size(); ++i) {
                put(in[i], inputs[i] + t * in[i].elements * limbs(in[i]), buffer);
            }
        }
        tick(*top);
        if (top->out_valid) {
            if (valid == 0) *first = t + 1;
            *last = t + 1;
        }
        for (std::size_t i = 0; i < out.size(); ++i) {
            const std::int64_t sample = out[i].cycle >= 0 ? t + 1 - out[i].cycle : (top->out_valid ? valid : -1);
            if (outputs[i] != nullptr && sample >= 0 && sample < samples) {
                get(out[i], outputs[i] + sample * out[i].elements * limbs(out[i]), buffer);
            }
        }
        valid += top->out_valid;
    }
    top->final();
    return valid;
}
