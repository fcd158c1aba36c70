// The processes of a design, run beside each other in one thread.
#ifndef KBUILD_STREAMS_H
#define KBUILD_STREAMS_H

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <new>

#include "ap_types/hls_stream.h"

namespace kbuild {

// After a sample: as many packets were written as a sample has, and `left` of them not read.
inline void check_stream(const hls::stream_base& stream, int packets, int left) {
    if (stream.written() == size_t(packets) && stream.size() == size_t(left)) return;
    throw hls::stream_error{stream.name(), "more or fewer packets than a sample has"};
}

// What went wrong, in memory that lasts until the thread's next error.
inline const char* message(const hls::stream_error& error) {
    static thread_local char text[256];
    snprintf(text, sizeof text, "%s: %s", error.stream, error.what);
    return text;
}

// Runs processes in turn: each until it must wait for one of its streams. The last that can go on goes first, so that
// packets are taken out of streams before more are put in.
class processes : public hls::stream_wait {
  public:
    // body(context, i) is process i.
    processes(int count, void (*body)(void*, int), void* context)
        : body_(body), context_(context), count_(count), current_(0), failed_(false), all_(new process[count]) {
        for (int i = 0; i < count; ++i) {
            all_[i].stack = mmap(0, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                                 -1, 0);
            if (all_[i].stack == MAP_FAILED) {
                count_ = i;
                release();
                throw std::bad_alloc();
            }
        }
    }
    processes(const processes&) = delete;
    processes& operator=(const processes&) = delete;
    ~processes() { release(); }

    // Starts all and lets them run as far as they come; whether all came to their ends. Throws what one has thrown.
    bool run() {
        for (int i = 0; i < count_; ++i) start(i);
        while (true) {
            int next = count_ - 1;
            while (next >= 0 && !can_run(all_[next])) --next;
            if (next < 0) break;
            current_ = next;
            swapcontext(&main_, &all_[next].context);
            if (failed_) throw error_;
        }
        for (int i = 0; i < count_; ++i)
            if (!all_[i].ended) return false;
        return true;
    }

    void wait(const hls::stream_base& stream, bool writing) override {
        process& own = all_[current_];
        own.stream = &stream;
        own.writing = writing;
        swapcontext(&own.context, &main_);
    }

    // The stream that a process waits for, null when it has ended, and whether it wants to write to it.
    const hls::stream_base* waits_for(int i) const { return all_[i].ended ? 0 : all_[i].stream; }
    bool wants_to_write(int i) const { return all_[i].writing; }

  private:
    static const size_t stack_bytes = size_t(8) << 20;  // as much as a thread has; taken as it is used

    struct process {
        ucontext_t context;
        void* stack;
        const hls::stream_base* stream;
        bool writing, ended;
    };

    static bool can_run(const process& p) {
        if (p.ended || !p.stream) return !p.ended;
        return p.writing ? !p.stream->full() : !p.stream->empty();
    }

    void start(int i) {
        process& p = all_[i];
        p.stream = 0;
        p.ended = p.writing = false;
        getcontext(&p.context);
        p.context.uc_stack.ss_sp = p.stack;
        p.context.uc_stack.ss_size = stack_bytes;
        p.context.uc_link = &main_;
        const uintptr_t self = reinterpret_cast<uintptr_t>(this);  // makecontext passes integers only
        makecontext(&p.context, reinterpret_cast<void (*)()>(&enter), 2, unsigned(self >> 16 >> 16), unsigned(self));
    }

    static void enter(unsigned high, unsigned low) {
        processes* const self = reinterpret_cast<processes*>(uintptr_t(high) << 16 << 16 | low);
        const int own = self->current_;
        try {
            self->body_(self->context_, own);
        } catch (const hls::stream_error& error) {
            self->error_ = error;
            self->failed_ = true;
        }
        self->all_[own].ended = true;
    }

    void release() {
        for (int i = 0; i < count_; ++i) munmap(all_[i].stack, stack_bytes);
        delete[] all_;
    }

    void (*body_)(void*, int);
    void* context_;
    int count_, current_;
    bool failed_;
    hls::stream_error error_;
    process* all_;
    ucontext_t main_;
};

}  // namespace kbuild

#endif
