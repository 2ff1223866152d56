"""Text burned into pixels: a cheap screen of every image, OCR of what it marks, tags of headers."""
