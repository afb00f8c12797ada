/* Products of a block of BLOCK rows, columns contiguous, with a vector of coefficients or of scores.

   Compiled for several kinds of processor as in _vector.h: four columns at once, eight explicit accumulators, the
   same bits whatever the width of the registers. Rows past the end of the data are zeros. */

#ifndef BAYESGLM_BLOCKS_H
#define BAYESGLM_BLOCKS_H

#include "_vector.h"

#define BLOCK 256

/* A sum is kept in eight lanes, written as one vector: loops over an array of lanes were not vectorised. */
typedef double lanes __attribute__((vector_size(64), aligned(8), may_alias));
typedef float float_lanes __attribute__((vector_size(32), aligned(4), may_alias));
#define bg_lanes_double(from) (*(const lanes *)(from))
#define bg_lanes_float(from) __builtin_convertvector(*(const float_lanes *)(from), lanes)

#define BLOCK_PRODUCTS(NAME, REAL)                                                                          \
    /* eta = level + X b */                                                                                 \
    FOR_ANY_PROCESSOR __attribute__((unused))                                                               \
    static void bg_matvec_##NAME(const REAL *x, ptrdiff_t p, const double *b, double level, double *eta)   \
    {                                                                                                       \
        ptrdiff_t j = 0;                                                                                    \
        for (int i = 0; i < BLOCK; i++)                                                                     \
            eta[i] = level;                                                                                 \
        for (; j + 4 <= p; j += 4) {                                                                        \
            const REAL *x0 = x + j * BLOCK, *x1 = x0 + BLOCK, *x2 = x1 + BLOCK, *x3 = x2 + BLOCK;           \
            double b0 = b[j], b1 = b[j + 1], b2 = b[j + 2], b3 = b[j + 3];                                  \
            for (int i = 0; i < BLOCK; i++)                                                                 \
                eta[i] += ((double)x0[i] * b0 + (double)x1[i] * b1) + ((double)x2[i] * b2 + (double)x3[i] * b3); \
        }                                                                                                   \
        for (; j < p; j++)                                                                                  \
            for (int i = 0; i < BLOCK; i++)                                                                 \
                eta[i] += (double)x[j * BLOCK + i] * b[j];                                                  \
    }                                                                                                       \
    /* grad += X' score */                                                                                  \
    FOR_ANY_PROCESSOR __attribute__((unused))                                                               \
    static void bg_rmatvec_##NAME(const REAL *x, ptrdiff_t p, const double *score, double *grad)           \
    {                                                                                                       \
        ptrdiff_t j = 0;                                                                                    \
        for (; j + 4 <= p; j += 4) {                                                                        \
            const REAL *x0 = x + j * BLOCK, *x1 = x0 + BLOCK, *x2 = x1 + BLOCK, *x3 = x2 + BLOCK;           \
            lanes t0 = {0.0}, t1 = {0.0}, t2 = {0.0}, t3 = {0.0};                                           \
            for (int i = 0; i < BLOCK; i += LANES) {                                                        \
                lanes s = bg_lanes_double(score + i);                                                       \
                t0 += bg_lanes_##NAME(x0 + i) * s;                                                          \
                t1 += bg_lanes_##NAME(x1 + i) * s;                                                          \
                t2 += bg_lanes_##NAME(x2 + i) * s;                                                          \
                t3 += bg_lanes_##NAME(x3 + i) * s;                                                          \
            }                                                                                               \
            grad[j] += bg_total((const double *)&t0);                                                       \
            grad[j + 1] += bg_total((const double *)&t1);                                                   \
            grad[j + 2] += bg_total((const double *)&t2);                                                   \
            grad[j + 3] += bg_total((const double *)&t3);                                                   \
        }                                                                                                   \
        for (; j < p; j++) {                                                                                \
            lanes t = {0.0};                                                                                \
            for (int i = 0; i < BLOCK; i += LANES)                                                          \
                t += bg_lanes_##NAME(x + j * BLOCK + i) * bg_lanes_double(score + i);                       \
            grad[j] += bg_total((const double *)&t);                                                        \
        }                                                                                                   \
    }

BLOCK_PRODUCTS(double, double)
BLOCK_PRODUCTS(float, float)

#endif
