// What the executor makes of wgmma, and the faults that it finds.
#include "kernels/device/runtime.h"

#include <gtest/gtest.h>

#include "kernels/device/matrix_wgmma.h"

namespace precis::kernels::device_simt {
namespace {

constexpr size_t kTiles = (64 + 128) * 128;

// Runs body(tile of a, tile of b) as a warpgroup; both are full of ones.
template <class Body>
void run(Body body) {
  const auto kernel = [=] {
    PRECIS_DYNAMIC_SHARED(shared);
    for (size_t i = threadIdx.x; i < kTiles; i += kWarpgroup) shared[i] = 1;
    __syncthreads();
    body(shared, shared + 64 * 128);
  };
  simt::launch("kernel", dim3(1), dim3(kWarpgroup), kTiles, kernel);
}

void start(WarpgroupSum<int>& sum, const unsigned char* a, const unsigned char* b, bool add) {
  wgmma_multiply<int8_t>(sum, descriptor_of(a), descriptor_of(b), add);
  wgmma_commit();
}

template <class Body>
std::string fault_of(Body body) {
  try {
    run(body);
  } catch (const simt::Error& error) {
    return error.what();
  }
  return "";
}

TEST(Wgmma, SumsArriveWhenTheyAreWaitedFor) {
  int before = 0, first = 0, both = 0;
  run([&](const unsigned char* a, const unsigned char* b) {
    WarpgroupSum<int> sum = {};
    start(sum, a, b, true);
    start(sum, a, b, true);
    const int unwaited = sum.values[5];
    wgmma_wait<1>();
    const int one = sum.values[5];
    wgmma_wait<0>();
    if (threadIdx.x != 77) return;
    before = unwaited;
    first = one;
    both = sum.values[5];
  });
  EXPECT_EQ(before, 0);
  EXPECT_EQ(first, 32);
  EXPECT_EQ(both, 64);
}

TEST(Wgmma, WithoutAddTheSumsBeginAnew) {
  int value = 0;
  run([&](const unsigned char* a, const unsigned char* b) {
    WarpgroupSum<int> sum;
    for (int& number : sum.values) number = 1000;
    start(sum, a, b, false);
    wgmma_wait<0>();
    if (threadIdx.x == 3) value = sum.values[63];
  });
  EXPECT_EQ(value, 32);
}

TEST(Wgmma, ATileMayNotChangeWhileItIsMultiplied) {
  const std::string fault = fault_of([](unsigned char* a, const unsigned char* b) {
    WarpgroupSum<int> sum = {};
    start(sum, a, b, true);
    __syncthreads();
    if (threadIdx.x == 9) a[3] = 2;
    __syncthreads();
    wgmma_wait<0>();
  });
  EXPECT_NE(fault.find("a tile changed"), std::string::npos) << fault;
}

TEST(Wgmma, WrittenTilesArePublishedBehindTheWrite) {
  const auto multiply = [](bool published) {
    return fault_of([=](unsigned char* a, const unsigned char* b) {
      if (!published) wgmma_publish();
      if (threadIdx.x == 9) store_vector(a + 16, Words4{{1, 2, 3, 4}});
      if (published) wgmma_publish();
      __syncthreads();
      WarpgroupSum<int> sum = {};
      start(sum, a, b, true);
      wgmma_wait<0>();
    });
  };
  EXPECT_EQ(multiply(true), "");
  const std::string fault = multiply(false);
  EXPECT_NE(fault.find("thread 9 wrote and did not publish"), std::string::npos) << fault;
}

TEST(Wgmma, ProductsAreWaitedForBeforeTheKernelEnds) {
  const std::string fault = fault_of([](const unsigned char* a, const unsigned char* b) {
    WarpgroupSum<int> sum = {};
    start(sum, a, b, true);
  });
  EXPECT_NE(fault.find("products not waited for"), std::string::npos) << fault;
}

TEST(Wgmma, AllThreadsBringTheSameOperands) {
  const std::string fault = fault_of([](const unsigned char* a, const unsigned char* b) {
    WarpgroupSum<int> sum = {};
    start(sum, a + (threadIdx.x == 40 ? 32 : 0), b, true);
    wgmma_wait<0>();
  });
  EXPECT_NE(fault.find("different operands"), std::string::npos) << fault;
}

}  // namespace
}  // namespace precis::kernels::device_simt
