/* Writes one request of the load generator to standard output, the same each time: request SPANS [PROMPT_BYTES] */
#include <stdio.h>
#include <stdlib.h>

#include "payload.h"

int main(int argc, char **argv) {
    size_t spans = argc == 2 || argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
    if (spans == 0) {
        fputs("usage: request SPANS [PROMPT_BYTES]\n", stderr);
        return 2;
    }
    if (argc == 3) payload_prompt_bytes = strtoul(argv[2], NULL, 10);
    struct chance chance = {.state = 1};
    struct payload payload = payload_make(&chance, spans);
    payload_refresh(&payload, &chance, 1767225600000000000u);
    return fwrite(payload.bytes, 1, payload.count, stdout) == payload.count ? 0 : 1;
}
