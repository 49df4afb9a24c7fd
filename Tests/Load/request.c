/* Writes one request of the load generator to standard output, the same each time: request SPANS */
#include <stdio.h>
#include <stdlib.h>

#include "payload.h"

int main(int argc, char **argv) {
    size_t spans = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (spans == 0) {
        fputs("usage: request SPANS\n", stderr);
        return 2;
    }
    struct chance chance = {.state = 1};
    struct payload payload = payload_make(&chance, spans);
    payload_refresh(&payload, &chance, 1767225600000000000u);
    return fwrite(payload.bytes, 1, payload.count, stdout) == payload.count ? 0 : 1;
}
