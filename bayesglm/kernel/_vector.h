/* Elementary functions over arrays, and the sums that likelihoods make of them, for the processor at hand.

   Plain x86-64 code is three times slower here than AVX-512, so GCC compiles each function for three kinds of
   processor and the loader chooses. No -ffast-math: loops are free of branches, and sums have eight explicit
   accumulators, so that the compiler may use vector registers of any width and every width gives the same bits
   (there is no contraction into fused multiply-adds either, see setup.py). */

#ifndef BAYESGLM_VECTOR_H
#define BAYESGLM_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__) && \
    !defined(BAYESGLM_SANITIZE)
#define FOR_ANY_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_ANY_PROCESSOR
#endif

#define LANES 8
#define CHUNK 256

/* exp(x) = 2^n exp(r) with |r| <= log(2)/2, where Taylor's polynomial of degree 13 is exact to 4e-18.
   Below -708 the result would soon be subnormal: it is 0. */
static inline double bg_exp(double x)
{
    const double shift = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to a whole number in the low bits */
    double held = x > 710.0 ? 710.0 : (x < -709.0 ? -709.0 : x);
    double moved = held * 1.4426950408889634 + shift;
    double n = moved - shift;
    double r = (held - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
    double p = 1.0 / 6227020800.0;
    uint64_t bits;
    double power;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r * r + r; /* the largest terms last, so that they are rounded once */
    p = p + 1.0;
    memcpy(&bits, &moved, sizeof bits);
    /* 2^(n-1), because 2^1024 is no double where exp(709.7) is one */
    bits = (bits + 1022) << 52;
    memcpy(&power, &bits, sizeof power);
    p = p * power * 2.0;
    p = x < -708.0 ? 0.0 : p;
    return x > 709.782712893384 ? INFINITY : p;
}

/* log(1 + t) for 0 <= t <= 1: log(c) + 2 artanh(s) with s = (1 + t - c)/(1 + t + c), c = 1 or 2, |s| <= 0.1716. */
static inline double bg_log1p(double t)
{
    int upper = t > 0.41421356237309503;
    double s = (upper ? t - 1.0 : t) / (upper ? t + 3.0 : t + 2.0);
    double z = s * s;
    double p = 1.0 / 23.0;
    p = p * z + 1.0 / 21.0;
    p = p * z + 1.0 / 19.0;
    p = p * z + 1.0 / 17.0;
    p = p * z + 1.0 / 15.0;
    p = p * z + 1.0 / 13.0;
    p = p * z + 1.0 / 11.0;
    p = p * z + 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 1.0 / 5.0;
    p = p * z + 1.0 / 3.0;
    p = 2.0 * (p * z * s + s);
    return upper ? 0.69314718055994530942 + p : p;
}

/* log(1 + t) for t > -1: of 1 + t = 2^n c with c between sqrt(1/2) and sqrt(2), n log(2) + 2 artanh((c - 1)/(c + 1));
   while n = 0, c - 1 is t itself, and no digit of it is lost. Minus infinity at -1, NaN below it. */
static inline double bg_log1p_wide(double t)
{
    double whole = 1.0 + t, n, c, s, z, p;
    uint64_t bits, power;
    memcpy(&bits, &whole, sizeof bits);
    /* The exponent of whole/sqrt(1/2), whose bits end in 6A09E667F3BCD. */
    power = (bits - 0x3FE6A09E667F3BCDULL) >> 52;
    bits -= power << 52;
    memcpy(&c, &bits, sizeof c);
    /* The power is small or, as a number of 12 bits with a sign, negative; 1.5 * 2^52 turns integers into doubles. */
    power = (((power & 0xFFF) ^ 0x800) - 0x800) + 0x4338000000000000ULL;
    memcpy(&n, &power, sizeof n);
    n -= 6755399441055744.0;
    s = n == 0.0 ? t : c - 1.0;
    s = s / (2.0 + s);
    z = s * s;
    p = 1.0 / 23.0;
    p = p * z + 1.0 / 21.0;
    p = p * z + 1.0 / 19.0;
    p = p * z + 1.0 / 17.0;
    p = p * z + 1.0 / 15.0;
    p = p * z + 1.0 / 13.0;
    p = p * z + 1.0 / 11.0;
    p = p * z + 1.0 / 9.0;
    p = p * z + 1.0 / 7.0;
    p = p * z + 1.0 / 5.0;
    p = p * z + 1.0 / 3.0;
    p = 2.0 * (p * z * s + s) + n * 1.90821492927058770002e-10;
    p = n * 0.693147180369123816490 + p;
    p = whole > 0.0 ? p : (whole == 0.0 ? -INFINITY : NAN);
    return whole <= 1.7976931348623157e308 ? p : whole;
}

FOR_ANY_PROCESSOR __attribute__((unused))
static void bg_exp_all(const double *x, double *out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = bg_exp(x[i]);
}

FOR_ANY_PROCESSOR __attribute__((unused))
static void bg_log1p_all(const double *x, double *out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = bg_log1p(x[i]);
}

static inline double bg_total(const double *lanes)
{
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

/* softplus(x) = log(1 + exp(x)). */
FOR_ANY_PROCESSOR __attribute__((unused))
static void bg_softplus_all(const double *x, double *out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] = (x[i] > 0.0 ? x[i] : 0.0) + bg_log1p(bg_exp(-fabs(x[i])));
}

/* The sum of exp(sign x + shift) over the x that do not reach a limit. */
FOR_ANY_PROCESSOR __attribute__((unused))
static double bg_sum_exp(const double *x, double sign, double shift, double limit, ptrdiff_t n)
{
    double total[LANES] = {0.0};
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            double value = bg_exp(sign * x[i + j] + shift);
            total[j] += x[i + j] >= limit ? 0.0 : value;
        }
    for (; i < n; i++)
        total[i % LANES] += x[i] >= limit ? 0.0 : bg_exp(sign * x[i] + shift);
    return bg_total(total);
}

/* The sum of log(1 + factor x), each factor x above -1. */
FOR_ANY_PROCESSOR __attribute__((unused))
static double bg_sum_log1p(const double *x, double factor, ptrdiff_t n)
{
    double total[LANES] = {0.0};
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            total[j] += bg_log1p_wide(factor * x[i + j]);
    for (; i < n; i++)
        total[i % LANES] += bg_log1p_wide(factor * x[i]);
    return bg_total(total);
}

/* The sum of n terms, n at most CHUNK; the buffer is long enough to be filled up with zeros. */
static inline double bg_sum(double *terms, ptrdiff_t n)
{
    double total[LANES] = {0.0};
    for (ptrdiff_t i = n; i % LANES; i++)
        terms[i] = 0.0;
    for (ptrdiff_t i = 0; i < n; i += LANES)
        for (int j = 0; j < LANES; j++)
            total[j] += terms[i + j];
    return bg_total(total);
}

/* Rows of zeros and ones, unweighted: sum of y eta - softplus(eta), derivatives by eta unless score is NULL. The
   logarithm is that of a product of at most CHUNK factors between 1 and 2, so that one is enough for all of them. */
FOR_ANY_PROCESSOR __attribute__((unused))
static double bg_bernoulli(ptrdiff_t n, const double *y, const double *eta, double *score)
{
    double total = 0.0, terms[CHUNK], e[CHUNK];
    for (ptrdiff_t first = 0; first < n; first += CHUNK) {
        ptrdiff_t size = n - first < CHUNK ? n - first : CHUNK;
        const double *v = y + first, *u = eta + first;
        double product[LANES];
        for (ptrdiff_t i = 0; i < size; i++) {
            double x = u[i];
            e[i] = bg_exp(-fabs(x));
            terms[i] = v[i] * x - (x > 0.0 ? x : 0.0);
        }
        if (score) {
            double *s = score + first;
            for (ptrdiff_t i = 0; i < size; i++) {
                s[i] = v[i] - (u[i] > 0.0 ? 1.0 : e[i]) / (1.0 + e[i]);
            }
        }
        for (ptrdiff_t i = size; i % LANES; i++)
            e[i] = 0.0;
        for (int j = 0; j < LANES; j++)
            product[j] = 1.0;
        for (ptrdiff_t i = 0; i < size; i += LANES)
            for (int j = 0; j < LANES; j++)
                product[j] *= 1.0 + e[i + j];
        total += bg_sum(terms, size);
        total -= log(((product[0] * product[1]) * (product[2] * product[3])) *
                     ((product[4] * product[5]) * (product[6] * product[7])));
    }
    return total;
}

/* Logistic rows: sum of w (y u - m softplus(u)) with u = eta - shift and m trials. m is trials[i], or where there
   are none, slope y + base: 1 for Bernoulli rows (0, 1), y + phi for negative binomial ones (1, phi). Writes the
   derivatives by u unless score is NULL and adds the sum of w softplus(u) to *softplus. */
FOR_ANY_PROCESSOR __attribute__((unused))
static double bg_logistic(ptrdiff_t n, const double *y, const double *weight, const double *trials, double slope,
                          double base, double shift, const double *eta, double *score, double *softplus)
{
    double total = 0.0, soft[CHUNK], terms[CHUNK], slopes[CHUNK], m[CHUNK], rest[CHUNK];
    for (ptrdiff_t first = 0; first < n; first += CHUNK) {
        ptrdiff_t size = n - first < CHUNK ? n - first : CHUNK;
        const double *v = y + first, *u = eta + first;
        if (trials)
            for (ptrdiff_t i = 0; i < size; i++) {
                m[i] = trials[first + i];
                rest[i] = m[i] - v[i];
            }
        else
            for (ptrdiff_t i = 0; i < size; i++) {
                m[i] = slope * v[i] + base;
                rest[i] = (slope - 1.0) * v[i] + base;
            }
        for (ptrdiff_t i = 0; i < size; i++) {
            double x = u[i] - shift;
            double e = bg_exp(-fabs(x));
            double q = 1.0 / (1.0 + e);
            double log1pe = bg_log1p(e);
            soft[i] = (x > 0.0 ? x : 0.0) + log1pe;
            /* By failures, m - y, above 0 and by successes below, so that no large numbers cancel. */
            terms[i] = (x > 0.0 ? -rest[i] * x : v[i] * x) - m[i] * log1pe;
            slopes[i] = (x > 0.0 ? v[i] * e - rest[i] : v[i] - rest[i] * e) * q;
        }
        if (weight) {
            const double *w = weight + first;
            for (ptrdiff_t i = 0; i < size; i++) {
                soft[i] *= w[i];
                terms[i] *= w[i];
                slopes[i] *= w[i];
            }
        }
        if (score)
            memcpy(score + first, slopes, size * sizeof(double));
        total += bg_sum(terms, size);
        *softplus += bg_sum(soft, size);
    }
    return total;
}

/* Poisson rows: sum of w (y eta - exp(eta)); writes the derivatives by eta unless score is NULL. */
FOR_ANY_PROCESSOR __attribute__((unused))
static double bg_poisson(ptrdiff_t n, const double *y, const double *weight, const double *eta, double *score)
{
    double total = 0.0, terms[CHUNK], slopes[CHUNK];
    for (ptrdiff_t first = 0; first < n; first += CHUNK) {
        ptrdiff_t size = n - first < CHUNK ? n - first : CHUNK;
        const double *v = y + first, *u = eta + first;
        for (ptrdiff_t i = 0; i < size; i++) {
            double mean = bg_exp(u[i]);
            terms[i] = v[i] * u[i] - mean;
            slopes[i] = v[i] - mean;
        }
        if (weight) {
            const double *w = weight + first;
            for (ptrdiff_t i = 0; i < size; i++) {
                terms[i] *= w[i];
                slopes[i] *= w[i];
            }
        }
        if (score)
            memcpy(score + first, slopes, size * sizeof(double));
        total += bg_sum(terms, size);
    }
    return total;
}

/* Gamma rows: sum of w (eta + y exp(-eta)); writes w (y exp(-eta) - 1) unless score is NULL. */
FOR_ANY_PROCESSOR __attribute__((unused))
static double bg_gamma(ptrdiff_t n, const double *y, const double *weight, const double *eta, double *score)
{
    double total = 0.0, terms[CHUNK], slopes[CHUNK];
    for (ptrdiff_t first = 0; first < n; first += CHUNK) {
        ptrdiff_t size = n - first < CHUNK ? n - first : CHUNK;
        const double *v = y + first, *u = eta + first;
        for (ptrdiff_t i = 0; i < size; i++) {
            double ratio = v[i] * bg_exp(-u[i]);
            terms[i] = u[i] + ratio;
            slopes[i] = ratio - 1.0;
        }
        if (weight) {
            const double *w = weight + first;
            for (ptrdiff_t i = 0; i < size; i++) {
                terms[i] *= w[i];
                slopes[i] *= w[i];
            }
        }
        if (score)
            memcpy(score + first, slopes, size * sizeof(double));
        total += bg_sum(terms, size);
    }
    return total;
}

/* Rows of class numbers y, K linear predictors each, those of one class after those of another: sum of
   w (eta_y - log sum_k exp(eta_k)); writes the derivatives by all linear predictors unless score is NULL. */
FOR_ANY_PROCESSOR __attribute__((unused))
static double bg_softmax(ptrdiff_t n, ptrdiff_t K, const double *y, const double *weight, const double *eta,
                         double *score)
{
    double total = 0.0, top[CHUNK], sum[CHUNK], terms[CHUNK];
    for (ptrdiff_t first = 0; first < n; first += CHUNK) {
        ptrdiff_t size = n - first < CHUNK ? n - first : CHUNK;
        const double *v = y + first, *w = weight ? weight + first : NULL;
        for (ptrdiff_t i = 0; i < size; i++) {
            top[i] = eta[first + i];
            sum[i] = 0.0;
        }
        for (ptrdiff_t k = 1; k < K; k++) {
            const double *u = eta + k * n + first;
            for (ptrdiff_t i = 0; i < size; i++)
                top[i] = u[i] > top[i] ? u[i] : top[i];
        }
        for (ptrdiff_t k = 0; k < K; k++) {
            const double *u = eta + k * n + first;
            double e[CHUNK];
            for (ptrdiff_t i = 0; i < size; i++) {
                e[i] = bg_exp(u[i] - top[i]);
                sum[i] += e[i];
            }
            if (score)
                memcpy(score + k * n + first, e, size * sizeof(double));
        }
        for (ptrdiff_t i = 0; i < size; i++)
            terms[i] = eta[(ptrdiff_t)v[i] * n + first + i] - top[i] - log(sum[i]);
        for (ptrdiff_t i = 0; i < size; i++)
            sum[i] = (w ? w[i] : 1.0) / sum[i];
        if (w)
            for (ptrdiff_t i = 0; i < size; i++)
                terms[i] *= w[i];
        if (score) {
            for (ptrdiff_t k = 0; k < K; k++) {
                double *s = score + k * n + first;
                for (ptrdiff_t i = 0; i < size; i++)
                    s[i] *= -sum[i];
            }
            for (ptrdiff_t i = 0; i < size; i++)
                score[(ptrdiff_t)v[i] * n + first + i] += w ? w[i] : 1.0;
        }
        total += bg_sum(terms, size);
    }
    return total;
}

#endif
