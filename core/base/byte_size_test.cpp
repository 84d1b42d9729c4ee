#include "core/base/byte_size.h"

#include <gtest/gtest.h>

namespace precis {
namespace {

TEST(ByteSize, ReadsBinaryAndDecimalUnits) {
  EXPECT_EQ(*parse_byte_size("512MiB"), 512ull << 20);
  EXPECT_EQ(*parse_byte_size("512M"), 512ull << 20);
  EXPECT_EQ(*parse_byte_size("1.5 GB"), 1500000000ull);
  EXPECT_EQ(*parse_byte_size("0"), 0ull);
  EXPECT_EQ(*parse_byte_size("7"), 7ull);
}

TEST(ByteSize, RefusesWhatIsNoSize) {
  for (const char* text : {"", "MiB", "-1", "12 parsecs", "1e30", "nan", "12MiBs"}) {
    EXPECT_FALSE(parse_byte_size(text).ok()) << text;
  }
}

TEST(ByteSize, PrintsThreeDigits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.00 kB");
  EXPECT_EQ(format_bytes(13421772800ull), "13.4 GB");
  EXPECT_EQ(format_bytes(999999), "1.00 MB");
}

}  // namespace
}  // namespace precis
