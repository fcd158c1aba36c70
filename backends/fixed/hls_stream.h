// hls::stream for C simulation: a FIFO that grows as needed. Reading an empty one is an error, not a made-up value.
#ifndef KFIXED_HLS_STREAM_H
#define KFIXED_HLS_STREAM_H

#include <stddef.h>

namespace hls {

struct stream_error {  // thrown on a read from an empty stream
    const char* stream;
    const char* what;
};

template <class T, int Depth = 0>
class stream {
  public:
    explicit stream(const char* name = "stream") : name_(name) {}
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;
    ~stream() { delete[] items_; }

    void write(const T& x) {
        if (count_ == capacity_) grow();
        items_[(first_ + count_++) & (capacity_ - 1)] = x;
        if (count_ > peak_) peak_ = count_;
    }
    T read() {
        if (count_ == 0) throw stream_error{name_, "read from an empty stream"};
        const T x = items_[first_];
        first_ = (first_ + 1) & (capacity_ - 1);
        --count_;
        return x;
    }
    void read(T& x) { x = read(); }
    bool read_nb(T& x) {
        if (count_ == 0) return false;
        x = read();
        return true;
    }
    bool write_nb(const T& x) {
        write(x);
        return true;
    }
    void operator<<(const T& x) { write(x); }
    void operator>>(T& x) { x = read(); }

    bool empty() const { return count_ == 0; }
    bool full() const { return false; }
    size_t size() const { return count_; }
    size_t peak() const { return peak_; }  // the largest number of items so far: the depth a FIFO would need
    const char* name() const { return name_; }

  private:
    void grow() {
        const size_t capacity = capacity_ ? 2 * capacity_ : 16;  // a power of two
        T* items = new T[capacity];
        for (size_t i = 0; i < count_; ++i) items[i] = items_[(first_ + i) & (capacity_ - 1)];
        delete[] items_;
        items_ = items;
        capacity_ = capacity;
        first_ = 0;
    }

    const char* name_;
    T* items_ = nullptr;
    size_t capacity_ = 0, first_ = 0, count_ = 0, peak_ = 0;
};

}  // namespace hls

#endif
