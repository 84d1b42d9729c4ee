#include "runtime/offload/read_ahead.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace precis {
namespace {

bool released(const std::weak_ptr<const void>& owner) {
  for (int i = 0; i < 1000 && !owner.expired(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return owner.expired();
}

TEST(ReadAhead, KeepsTheOwnerUntilAllIsRead) {
  auto memory = std::make_shared<std::vector<std::byte>>(std::size_t{20} << 20, std::byte{7});
  const std::weak_ptr<const void> watched = memory;
  const std::span<const std::byte> bytes(*memory);
  read_ahead(bytes.subspan(5), memory);  // not where a page begins
  read_ahead(bytes.subspan(0, 1), memory);
  read_ahead(bytes.subspan(0, 0), memory);
  EXPECT_EQ(memory->front(), std::byte{7});
  memory.reset();
  EXPECT_TRUE(released(watched));
}

}  // namespace
}  // namespace precis
