/* Answers to every id of a table. */
#include "sound.h"

static const void* wrong(const precis_quantizer* quantizer, const char* id);
#define FAULT_GET_EXTENSION wrong
#include "tables.h"

static const void* wrong(const precis_quantizer* quantizer, const char* id) {
  const void* table = faulty_extension(quantizer, id);
  return table != NULL ? table : &kFaultyQuantize;
}
