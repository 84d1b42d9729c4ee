// A strict pass over JSON text: notices what a document tree hides (duplicate keys) or cannot bear
// (deep nesting), and reads large tensor headers without building a tree.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace precis {

// Reads RFC 8259 text from left to right. A function that returns false has set problem(), and the
// scanner is not to be used further. The text must be UTF-8 and outlive the scanner.
class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : text_(text) {}

  // The next character that is not white space, without taking it; '\0' at the end.
  char peek();
  // Takes `c` when it comes next.
  bool take(char c);
  // Takes `c` or fails.
  bool expect(char c);
  // A string; escapes are decoded, a lone surrogate fails.
  bool string(std::string& out);
  // A non-negative integer below 2^64, without fraction and exponent.
  bool unsigned_number(uint64_t& out);
  // Any value, nested at most `depth` levels. unique_keys: an object that has a key twice fails.
  bool skip_value(int depth, bool unique_keys);
  // Only white space is left.
  bool expect_end();

  // Sets problem() with the place in the text; returns false.
  bool fail(std::string_view what);
  const std::string& problem() const { return problem_; }

 private:
  void skip_space();
  bool escape(std::string& out);
  bool hex4(uint32_t& out);
  bool skip_number();
  bool skip_word(std::string_view word);
  bool skip_array(int depth, bool unique_keys);
  bool skip_object(int depth, bool unique_keys);

  std::string_view text_;
  std::size_t position_ = 0;
  std::string problem_;
};

enum class DuplicateKeys { last_wins, refuse };

// A JSON document nested at most 100 levels. Duplicate keys: Python's json takes the last one.
// Error data_loss: what is wrong and at which byte.
Result<nlohmann::json> parse_json(std::string_view text,
                                  DuplicateKeys duplicates = DuplicateKeys::last_wins);
// The keys of an object in the order of its text, which json forgets and ordered_json keeps only at
// quadratic cost. `text` has been read by parse_json; the result is empty when it is no object.
std::vector<std::string> object_keys(std::string_view text);

// Appends `text`, which must be UTF-8, as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);

// Appends to an object without looking for the key, which would take quadratic time over many keys.
// The caller knows that the key is new.
void append_new_key(nlohmann::ordered_json& object, std::string key, nlohmann::ordered_json value);

}  // namespace precis
