// hls::stream for C simulation: a FIFO that grows as needed, or one with room for a given number of items.
//
// Reading an empty one is an error, not a made-up value, unless somebody waits for the process at its other end.
#ifndef KFIXED_HLS_STREAM_H
#define KFIXED_HLS_STREAM_H

#include <stddef.h>
#include <string.h>

#if defined(__GNUC__)
#define KFIXED_RARE __attribute__((noinline, cold))  // once in the code, and small
#else
#define KFIXED_RARE
#endif

namespace hls {

struct stream_error {  // thrown on a read from an empty stream
    const char* stream;
    const char* what;
};

class stream_base;

// Lets other processes run until a stream can be read, or written.
class stream_wait {
  public:
    virtual void wait(const stream_base& stream, bool writing) = 0;

  protected:
    ~stream_wait() {}
};

// What does not depend on the type of the items, which are bytes here: numbers and structs of numbers may be moved so,
// those of the vendors' headers, too. Items lie in a ring of 2^n places.
class stream_base {
  public:
    bool empty() const { return count_ == 0; }
    bool full() const { return count_ >= depth_; }
    size_t size() const { return count_; }
    size_t peak() const { return peak_; }  // the largest number of items so far: the depth a FIFO would need
    size_t written() const { return written_; }  // since the start, or the last restart
    const char* name() const { return name_; }

    // From now on a process that finds this stream empty, or `depth` items in it, waits.
    void bound(size_t depth, stream_wait* wait) {
        depth_ = depth;
        wait_ = wait;
        room_ = depth < capacity_ ? depth : capacity_;
    }

    // Empty, with memory for `items`: as many written items can be looked at until the next restart.
    void restart(size_t items) {
        count_ = next_ = written_ = 0;
        while (capacity_ < items) grow();
    }
    // The first item written since then; the others follow.
    const void* items() const { return items_; }
    // After a restart: memory for that many items, which count as written.
    void* fill(size_t items) {
        count_ = written_ = items;
        if (count_ > peak_) peak_ = count_;
        return items_;
    }

  protected:
    KFIXED_RARE stream_base(const char* name, size_t bytes) : name_(name), wait_(0), items_(0), bytes_(bytes) {
        depth_ = ~size_t(0);
        capacity_ = room_ = count_ = next_ = written_ = peak_ = 0;
    }
    KFIXED_RARE ~stream_base() { ::operator delete(items_); }

    KFIXED_RARE void wait_to_read() {
        if (!wait_) {
            const stream_error error = {name_, "read from an empty stream"};
            throw error;
        }
        wait_->wait(*this, false);
    }
    KFIXED_RARE void make_room() {
        while (full()) wait_->wait(*this, true);
        if (count_ == capacity_) grow();
    }

    const char* name_;
    stream_wait* wait_;
    void* items_;
    size_t bytes_, depth_, capacity_, room_;  // room_: the number of items above which a write needs attention
    size_t count_, next_, written_, peak_;    // items in it, items read and items written so far, modulo 2^n

  private:
    stream_base(const stream_base&);
    stream_base& operator=(const stream_base&);

    KFIXED_RARE void grow() {
        const size_t capacity = capacity_ ? 2 * capacity_ : 16;
        char *const items = static_cast<char*>(::operator new(capacity * bytes_)), *const old = static_cast<char*>(items_);
        for (size_t i = next_; i != next_ + count_; ++i)
            memcpy(items + (i & (capacity - 1)) * bytes_, old + (i & (capacity_ - 1)) * bytes_, bytes_);
        ::operator delete(items_);
        items_ = items;
        capacity_ = capacity;
        room_ = depth_ < capacity_ ? depth_ : capacity_;
    }
};

template <class T, int Depth = 0>
class stream : public stream_base {
  public:
    explicit stream(const char* name = "stream") : stream_base(name, sizeof(T)) {}

    void write(const T& x) {
        if (count_ >= room_) make_room();
        static_cast<T*>(items_)[written_++ & (capacity_ - 1)] = x;
        if (++count_ > peak_) peak_ = count_;
    }
    T read() {
        if (count_ == 0) wait_to_read();
        --count_;
        return static_cast<T*>(items_)[next_++ & (capacity_ - 1)];
    }
    void read(T& x) { x = read(); }
    bool read_nb(T& x) {
        if (count_ == 0) return false;
        x = read();
        return true;
    }
    bool write_nb(const T& x) {
        if (full()) return false;
        write(x);
        return true;
    }
    void operator<<(const T& x) { write(x); }
    void operator>>(T& x) { x = read(); }
};

}  // namespace hls

#undef KFIXED_RARE
#endif
